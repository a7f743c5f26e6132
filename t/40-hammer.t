#!/usr/bin/perl
# Several processes hammer four workers: values whole, counters exact.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

use POSIX ();
use Time::HiRes qw(time);

my $mc      = start_memcached('-t', 4, '-m', 64);
my $c       = $mc->client;
my $workers = 4;
my $rounds  = is_sanitized() ? 400 : 2_000;

is $c->set('counter', '0' x 20), 'STORED';
is $c->set('cas', '0'), 'STORED';
is $c->set('log', ''),  'STORED';

sub cas_incr
{
    my ($conn) = @_;
    for (1 .. 10_000) {
        my ($value, $flags, $cas) = $conn->gets('cas');
        my $next = $value + 1;
        my $len  = length $next;
        return 1
            if $conn->ask("cas cas 0 0 $len $cas\r\n$next") eq 'STORED';
    }
    return 0;
}

# One worker: false at the first thing that is not as it should be.
sub work
{
    my ($id) = @_;
    my $conn = $mc->client;
    my @letters = map { chr(97 + $_) x (1 + 700 * $_) } 0 .. 9;
    for my $i (1 .. $rounds) {
        $conn->ask('incr counter 1') =~ /\A\d+\z/ or return 0;
        cas_incr($conn) or return 0 if $i % 10 == 0;
        $conn->ask("append log 0 0 1\r\n$id") eq 'STORED'
            or return 0
            if $i % 10 == 0;
        my $key = 'k' . int rand 20;
        my $op  = int rand 6;
        if ($op == 0) {
            $conn->ask("delete $key") =~ /\A(?:DELETED|NOT_FOUND)\z/
                or return 0;
        } elsif ($op < 3) {
            $conn->set($key, $letters[rand 10]) eq 'STORED' or return 0;
        } else {
            my $got = $conn->get($key) // next;
            my $first = substr $got, 0, 1;
            return 0
                if $got ne $first x (1 + 700 * (ord($first) - 97));
        }
    }
    return 1;
}

my @pids;
for my $id (1 .. $workers) {
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        srand $id;
        POSIX::_exit(eval { work($id) } ? 0 : 1);
    }
    push @pids, $pid;
}
my $failed = 0;
for my $pid (@pids) {
    waitpid $pid, 0;
    $failed++ if $?;
}
is $failed, 0, 'no process saw anything wrong';
is $c->get('counter') + 0, $workers * $rounds, 'incr is exact';
is $c->get('cas'), $workers * $rounds / 10, 'so is counting by cas';
my $log = $c->get('log');
is length $log, $workers * $rounds / 10, 'no append is lost';
is scalar(() = $log =~ /$_/g), $rounds / 10, "those of $_" for 1 .. $workers;
my $s = $mc->stats;
is $s->{incr_hits}, $workers * $rounds, 'counters of four workers add up';
is $s->{cmd_get}, $s->{get_hits} + $s->{get_misses}, 'gets too';
is $s->{threads}, 4, 'threads';
$c->nothing_more;
done_testing;
