#!/usr/bin/perl
# A network that swallows everything without a reset: the peer is declared down
# in time, and both find each other soon after.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Netns;
use Pair;

plan skip_all => "built without replication" if !has_replication();

my $net = Netns->new(2);
for my $timeout (1, 5) {
    my @mc = start_nodes($net,
        $timeout == 5 ? () : (args => ['-o', "rep_timeout=$timeout"]));
    my $hole = sub { $net->hole(0, 1) };
    outage_ok($net, \@mc, $timeout, "black hole, rep_timeout $timeout", $hole,
        $timeout == 5 ? 0 : 2);
    $_->stop for @mc;
}
done_testing;
