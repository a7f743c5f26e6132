#!/usr/bin/perl
# A link far slower than the writers: no client waits for it, it stays up, and
# the rest arrives once it is fast again.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Netns;
use Pair;

use Time::HiRes qw(time);

plan skip_all => "built without replication" if !has_replication();

my $net = Netns->new(2);
my @mc  = start_nodes($net);
my @c   = map { $_->client } @mc;

# Keys of each side and keys of both.
my @own  = map { my $side = $_; [map { "own$side-$_" } 1 .. 500] } 0, 1;
my @both = map { "both$_" } 1 .. 100;
my @keys = (@both, map { @$_ } @own);

my @copies = rows('full_copies_sent', @mc);
my $value  = 'x' x 4000;
my ($n, $bad, @took) = (0, 0);
$net->slow('2mbit');
my $start = time;
# Longer than rep_timeout.
while (time < $start + 6) {
    for my $side (0, 1) {
        my $from = ++$n % 10 > 1 ? $own[$side] : \@both;
        my $sent = time;
        my $said = $c[$side]->set($from->[rand @$from], $value, $n) // 'none';
        push @took, time - $sent;
        $bad++ if $said ne 'STORED';
    }
}
my $mbit = 8 * length($value) * $n / (time - $start) / 1e6;
cmp_ok $mbit, '>', 20, sprintf 'writing %.0f Mbit/s over a link of 2', $mbit;
is $bad, 0, 'every write was stored';
@took = sort { $a <=> $b } @took;
my $p99 = $took[0.99 * @took];
cmp_ok $p99, '<', 0.1, sprintf 'p99 %.2f ms', 1000 * $p99;
cmp_ok $took[-1], '<', 1, sprintf 'slowest %.2f ms', 1000 * $took[-1];
isnt scalar differing(\@mc, @keys), 0, 'the link is behind';
is_deeply [rows('link_status', @mc)], [('linked') x 2], 'and is up';
$net->heal;
agree_ok(\@mc, \@keys, 5, 'fast again');
is_deeply [rows('full_copies_sent', @mc)], \@copies, 'without a new copy';
done_testing;
