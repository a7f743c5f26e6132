#!/usr/bin/perl
# Storms from both sides that overrun the smallest logs: nothing is lost, and
# no copy of everything is made for it.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Changes;
use Memcached;
use Pair;

plan skip_all => "built without replication" if !has_replication();

my @option = ('-o', 'rep_log=4k');
my ($one, $two, $relay) =
    start_pair(dials => 'a', relay => 1, a => [@option], b => [@option]);
my @mc = ($one, $two);
my @c  = map { $_->client } @mc;
my @keys = map { "key$_" } 1 .. 3_000;

sub partial { my $sum = 0; $sum += $_ for rows('partial_copies_sent', @mc); return $sum }

for my $round (1 .. 6) {
    my @lists = map { [map { draw_change($keys[rand @keys]) } 1 .. 5_000] } 0, 1;
    if ($round % 3 == 0) {
        splice @$_, rand @$_ / 2, 0, any_flush() for @lists;
    }
    # The even ones: the link does not move while they are written.
    $relay->stall if $round % 2 == 0;
    is join(' ', make_changes(\@c, @lists)), '', 'every change was answered';
    $relay->heal;
    agree_ok(\@mc, \@keys, 20, "storm $round");
    my %has = map { $_ => 1 } keys %{contents($one, @keys)};
    cmp_ok scalar keys %has, '>', 100, scalar(keys %has) . ' keys are there';
}
is "@{[rows('full_copies_sent', @mc)]}", '1 1', 'no other copy of everything';
cmp_ok partial(), '>', 4, partial() . ' of what the logs had lost';
is $relay->links_made, 1, 'on one link'
    or diag join ', ', rows('last_error', @mc);
done_testing;
