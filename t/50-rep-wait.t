#!/usr/bin/perl
# scripts/rep-wait: 0 when a node is in sync, 1 when time is up, 2 for misuse.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(time);

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

my $script = "$FindBin::Bin/../scripts/rep-wait";

# Its exit code, and what it says.
sub waits
{
    my $out  = qx{'$script' @_ 2>&1};
    my $code = $? >> 8;
    chomp $out;
    return "$code $out";
}

my @rep = (free_port(), free_port());
my @mc  = map {
    spawn_memcached({port => free_port()}, '-x', '127.0.0.1', '-X',
        "$rep[$_]:$rep[1 - $_]")
} 0, 1;
my @at = map { '127.0.0.1:' . $_->port } @mc;
is waits($at[0]), '0 ', 'it waits for a pair that has just been started';
is waits($at[1], 5), '0 ', 'and for its other half';
ok linked($mc[0]) && linked($mc[1]), 'they are linked, indeed';
$mc[1]->stop;
like waits($at[0], 1),
    qr/\A1\ rep-wait:\ \Q$at[0]\E\ is\ not\ in\ sync\ after\ 1\ s:
       \ link_status\ dialing,\ in_sync\ 0,\ queued_keys\ \d+\z/x,
    'alone it is not in sync';
is waits($at[1], 1), "1 rep-wait: $at[1] does not answer", 'nobody is there';

# For ever ends when the pair is complete again.
my $start = time;
my $pid   = fork // die "fork: $!";
if (!$pid) {
    exec $script, $at[0], 0 or POSIX::_exit(127);
}
wait_for { time > $start + 0.5 } 2;
is waitpid($pid, POSIX::WNOHANG()), 0, 'it waits';
$mc[1]->restart;
my $ended = wait_for { waitpid($pid, POSIX::WNOHANG()) == $pid } 20;
is $ended && $? >> 8, 0, 'and ends when the other is back';
kill 'KILL', $pid if !$ended;

for my $args ('', 'localhost', '11211', 'a:b', 'a:1 x', 'a:1 ""', 'a:1 5 6',
    '::1:5', ':5', 'a:123456', '[]:5')
{
    like waits($args), qr/\A2 usage: rep-wait HOST:PORT \[SECONDS\]\z/,
        "misuse: $args";
}
SKIP: {
    my $probe = IO::Socket::IP->new(LocalHost => '::1', Listen => 1);
    skip 'no IPv6 on this machine', 1 if !$probe;
    my $six = start_memcached({host => '::1'});
    like waits("'[::1]:" . $six->port . "'", 1), qr/link_status listening/,
        'an IPv6 address stands in brackets';
}
done_testing;
