#!/usr/bin/perl
# Loss in one direction: whoever still hears the other must let go of it, too.

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
my @mc  = start_nodes($net, args => ['-o', 'rep_timeout=1']);
for my $from (0, 1) {
    my $to = 1 - $from;
    for my $more (0, 1.5) {
        outage_ok($net, \@mc, 1, "loss from $from to $to",
            sub { $net->lose($from, $to) }, $more);
    }
}
done_testing;
