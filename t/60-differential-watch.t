#!/usr/bin/perl
# The lines of a watcher beside Debian's memcached: what sessions look up and
# store. Times, ids, descriptors and classes are left out, and what
# doc/compatibility.md says of `watch` is not drawn.
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
use DifferentialText qw(text_session);
use Memcached;

stock();

# No line is lost.
my @quiet = ('-t', 1, '-o', 'worker_logbuf_size=4096,watcher_logbuf_size=4096');

# Lines up to the one that a marker brings; of keys that are counted in without
# the size, since 1.6.18 pads a number that shrank at times.
sub lines
{
    my ($watcher, $marker, $counted) = @_;
    my @lines;
    while (defined(my $line = $watcher->line(20))) {
        return @lines if $line =~ /$marker/;
        $line =~ s/\Ats=\d+\.\d+ gid=\d+ //;
        $line =~ s/ (?:cfd|clsid)=\K\d+/N/g;
        # Whether 1.6.18 has come across one that is over is a matter of time.
        $line =~ s/item_get .* status=\K(?:not_found|expired|flushed)/gone/;
        $line =~ s/ size=\K\d+/N/ if $line =~ / key=(\S+)/ && $counted->{$1};
        # Of what is over already the seconds are beyond those of an int.
        $line =~ s/ ttl=\K(\d+)/$1 < 2**31 ? int(($1 + 100) \/ 1000) : 'over'/e;
        push @lines, $line;
    }
    return (@lines, "no $marker\n");
}

# 1.6.18 looks a value up that is too large, and a key of mg whose opaque is; of
# what ma makes it tells no time.
sub is_told_alike
{
    my ($step) = @_;
    return ref $step ne 'HASH'
        && (ref $step || $step !~ /^(?:ma [^\n]* N\d|m\w absent)/m && length $step < 400_000);
}

my $servers  = servers(@quiet);
my @watchers = map { $_->{daemon}->client } @$servers;
is $_->ask('watch fetchers mutations'), 'OK', 'watch' for @watchers;
compare_each('sessions watched', 300, 300, sub {
    my ($n) = @_;
    my @steps = grep { is_told_alike($_) } @{text_session($n, \&meta_step, 0.5)};
    $_->{main} = $_->{daemon}->client for @$servers;
    run_session(\@steps, $servers);
    $_->{side}->ask("mg marker$n") for @$servers;
    my %counted = map { $_ => 1, decode_base64($_) => 1 }
        map { ref $_ ? () : /^(?:incr|decr|ma) +(\S+)/mg } @steps;
    return (map({ join '', lines($_, qr/ key=marker$n /, \%counted) } @watchers),
        map { ref $_ ? '(cas)' : Client::shown($_, 250) } @steps);
});
done_testing;
