#!/usr/bin/perl
# `lru_crawler metadump` beside Debian's memcached, behind sessions: the same lines
# in any order. Classes and sizes are each server's own, cas ids become their
# order, times may be a moment apart. 1.6.45 begins with OK, tells the flags, and
# has mgdump, which 1.6.18 has not: that is to name the same keys.
#
# SEED, SESSIONS and ONLY: see compare_each in t/lib/Differential.pm.

use strict;
use warnings;

use FindBin;
use MIME::Base64 qw(decode_base64);
use Test::More;

use lib "$FindBin::Bin/lib";
use Differential qw(compare_each run_session servers stock);
use DifferentialMeta qw(meta_step);
use DifferentialText qw(pick text_session);
use Memcached;

stock();

# The lines of a dump, sorted, of a connection of its own: 1.6.18 has one dump at
# a time, and its crawler may be at work.
sub dumped
{
    my ($server, $what) = @_;
    my $text;
    wait_for {
        my $c = $server->{daemon}->client;
        $c->send("lru_crawler $what\r\n");
        $text = $c->read_to(qr/\A(?:END?|BUSY.*|BADCLASS.*|NOT.*|ERROR.*)\r\n/);
        $c->close;
        return $text !~ /^BUSY/;
    } 10;
    return $text =~ s/\AOK\r\n//r;
}

sub dump_of
{
    my ($server, $what) = @_;
    my $text = dumped($server, $what);
    my %rank;
    $rank{$_} //= keys %rank for sort { $a <=> $b } $text =~ / cas=(\d+)/g;
    my $near = sub { return $_[0] < 0 ? $_[0] : abs($_[0] - time) < 20 ? 'now' : int(($_[0] + 100) / 1000) };
    $text =~ s/ flags=\d+ $//mg;
    $text =~ s/ (?:cls|size)=\K\d+/N/g;
    $text =~ s/ cas=\K(\d+)/$rank{$1}/g;
    $text =~ s/ (?:exp|la)=\K(-?\d+)/$near->($1)/ge;
    return join '', sort split /^/, $text;
}

# (Of `all` 1.6.18 walks its queues, and what changes from one to another
# meanwhile comes twice or not at all.)
sub dumps_of
{
    my ($server, @what) = @_;
    my $all = $server->{hangs_up} ? 'all' : 'hash';
    return join '', map { "$_:\n" . dump_of($server, s/ALL/$all/r) } @what;
}

# The keys of both kinds of dump, of ours.
sub keys_of
{
    my ($server) = @_;
    my @meta = map { s/%([0-9A-F]{2})/chr hex $1/ger } dumped($server, 'metadump all') =~ /^key=(\S+)/mg;
    my @mg = map { / b\z/ ? decode_base64($_) : $_ } dumped($server, 'mgdump all') =~ /^mg (.*)\r$/mg;
    return map { join ' ', map { Client::shown($_, 250) } sort @$_ } \@meta, \@mg;
}

my @odd = ('metadump', 'metadump 0', 'metadump 64', 'metadump 1x', 'metadump 63',
    'metadump alls', 'metadumps all', 'metadump all x', 'metadump 1,64');

for my $options (['-t', 1], ['-I', '2m', '-M', '-t', 1]) {
    my $servers = servers(@$options);
    my $usual   = @$options == 2 ? 60 : 30;
    compare_each("sessions and dumps, options '@$options'", $usual, 90, sub {
        my ($n) = @_;
        my $steps = text_session($n, \&meta_step, 0.4);
        $_->{main} = $_->{daemon}->client for @$servers;
        # What was there before goes, so that the dumps stay short. (What shrinks
        # is padded by 1.6.18 at times, and is then another item.)
        $_->{side}->ask('flush_all') for @$servers;
        my @quiet = grep { ref $_ eq 'CODE' || !ref $_ && !/^(?:flush_all|lru_crawler)/ } @$steps;
        run_session(\@quiet, $servers);
        my @what = ('metadump ALL', 'metadump hash', pick(@odd));
        my ($meta, $mg) = keys_of($servers->[0]);
        is $mg, $meta, "mgdump, ONLY=$n" if $mg ne $meta;
        return (map({ dumps_of($_, @what) } @$servers),
            map { ref $_ ? '(cas)' : Client::shown($_, 250) } @quiet);
    });
    $_->{daemon}->stop for @$servers;
}
done_testing;
