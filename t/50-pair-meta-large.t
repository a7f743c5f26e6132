#!/usr/bin/perl
# The meta commands upon values that are sent from where they lie, lie in pieces,
# or travel in parts.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;
use Turns;

plan skip_all => "built without replication" if !has_replication();

sub large_rows
{
    my ($name, $value) = @_;
    my $n = length $value;
    return (
        ["$name, cas", [ms("$name-c", $value, 'E30'), 'HD'], ["mg $name-c s c", "HD s$n c30"]],
        ["$name, stale", [ms("$name-s", $value, 'E30'), 'HD', "md $name-s I E31", 'HD'],
            ["mg $name-s c v", "VA $n c31 X W\r\n$value"], ["mg $name-s c", 'HD c31 Z X']],
        ["$name, won",
            [ms("$name-w", $value, 'T500 E32'), 'HD', "mg $name-w R900 v", "VA $n W\r\n$value"],
            ["mg $name-w s c", "HD s$n c32 Z"]],
        ["$name, ends", [ms("$name-e", $value, 'T500 E33'), 'HD', "mg $name-e T50", 'HD'],
            ["mg $name-e s t c", "HD s$n t50 c33"]],
    );
}

my @mc = start_pair();
both_ways(\@mc, map { large_rows(@$_) } ['large', 'v' x 100_000], ['huge', 'w' x 900_000]);
done_testing;
