#!/usr/bin/perl
# A cable is pulled while both sides write, and put back.

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
my @mc  = start_nodes($net, args => ['-o', 'rep_timeout=2']);
outage_ok($net, \@mc, 2, "cable of $_", sub { $net->cut($_) }, 1) for 0, 1;

# Too short to be noticed: what was lost is sent again.
my $c = [map { $_->client } @mc];
for my $round (1 .. 3) {
    $net->cut($round % 2);
    storm_until { 0 } 0.3, $c;
    is_deeply [rows('link_status', @mc)], [('linked') x 2], 'nobody notices';
    $net->heal;
    storm($c, 100);
    agree_ok(\@mc, [storm_keys()], 5, "short cut $round");
}
done_testing;
