#!/usr/bin/perl
# -o idle_timeout closes who is silent, not who is sending a long value.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached('-o', 'idle_timeout=1');
my $up = $mc->client;
my $n  = 1_000_000;
$up->send_only("set slow 0 0 $n\r\n");
my $sent = 0;

# Two generations of silent clients leave while the value trickles in.
for my $kicked (1, 2) {
    my $silent = $mc->client;
    ok((wait_for {
            $sent += $up->send_only('x');
            $mc->stats->{idle_kicks} >= $kicked;
        } 20), "$kicked silent clients closed");
    $silent->closes('the silent one sees it');
}
is $up->ask('x' x ($n - $sent)), 'STORED', 'the slow upload ends well';
is length $mc->client->get('slow'), $n, 'whole';

my $stalled = $mc->client;
$stalled->send_only("set stalled 0 0 10\r\nabc");
$stalled->closes('an upload that stops is silent too');

done_testing;
