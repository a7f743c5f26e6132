#!/usr/bin/perl
# Outages of all kinds come and go while both sides change the same keys.

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
my @c   = map { $_->client } @mc;

my @faults = (
    sub { $net->cut(0) },
    sub { $net->hole(0, 1) },
    sub { $net->lose(0, 1) },
    sub { $net->cut(1) },
    sub { $net->lose(1, 0) },
);
for my $round (1 .. 10) {
    $faults[$round % @faults]->();
    storm_until { 0 } rand 1.5, \@c;
    $net->heal;
    # Every other time the next one comes before they have met again.
    storm_until { $round % 2 && all_linked(@mc) } rand 0.5, \@c;
}
agree_ok(\@mc, [storm_keys()], 5, 'after a storm');
isnt scalar keys %{contents($mc[0], storm_keys())}, 0, 'something is left';
done_testing;
