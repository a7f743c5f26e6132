#!/usr/bin/perl
# Short pipelines of each protocol, cut in two at every byte, to Debian's
# memcached and to ours: the same back.
#
# SEED, SESSIONS and ONLY: see compare_each in t/lib/Differential.pm.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Differential qw(compare_each normalise normalise_packets servers stock);
use DifferentialBinary qw(binary_session);
use DifferentialMeta qw(meta_step);
use DifferentialText qw(text_session);
use Memcached;

stock();
my $LONGEST = 160;
my $servers = servers('-t', 1);

# As many of the steps as are short. (A refused value ends ours.)
sub pipeline
{
    my ($steps) = @_;
    my $bytes = '';
    for my $step (@$steps) {
        $bytes .= $step if !ref $step && length($bytes . $step) <= $LONGEST;
    }
    return $bytes;
}

# All that came back for the two parts.
sub answers
{
    my (@parts) = @_;
    my @clients = map { $_->{daemon}->client } @$servers;
    for my $part (@parts) {
        $_->send($part) for @clients;
    }
    $_->shutdown_write for @clients;
    return map { $_->read_all } @clients;
}

sub compare_cuts
{
    my ($bytes, $to_text) = @_;
    for my $cut (1 .. length $bytes) {
        my @got = map { $to_text->($_) } answers(substr($bytes, 0, $cut), substr $bytes, $cut);
        return (@got, "cut at $cut: " . Client::shown($bytes, 500)) if $got[0] ne $got[1];
    }
    return ('', '');
}

compare_each('pipelines', 12, 20,
    sub { compare_cuts(pipeline(text_session($_[0], \&meta_step, 0.4)), \&normalise) });
compare_each('binary pipelines', 8, 20,
    sub { compare_cuts(pipeline(binary_session($_[0])), \&normalise_packets) });
done_testing;
