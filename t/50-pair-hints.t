#!/usr/bin/perl
# A standby that nobody reads has its master's hit ratio at fail-over. Without
# hints it would keep what was written last, here about a fifth of the ratio.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;

plan skip_all => "built without replication" if !has_replication();

my $keys     = 40_000;
my $requests = 100_000;
my $value    = 'v' x 100;

# Zipf 1.1: the share of all requests that the ranks up to this one have.
my (@below, $sum);
for my $rank (1 .. $keys) {
    push @below, $sum += $rank**-1.1;
}
srand 1;

# A key by its popularity; neighbours are not alike.
sub draw
{
    my $at = rand $sum;
    my ($low, $high) = (0, $keys - 1);
    while ($low < $high) {
        my $mid = int(($low + $high) / 2);
        if ($below[$mid] < $at) {
            $low = $mid + 1;
        } else {
            $high = $mid;
        }
    }
    return 'key' . $low * 7919 % 1_000_003;
}

# The hit ratio of $count gets. With fill, a miss is followed by a set.
sub ratio
{
    my ($c, $count, %opt) = @_;
    my $hits = 0;
    for (1 .. $count / 50) {
        my @wanted = map { draw() } 1 .. 50;
        $c->send("get @wanted\r\n");
        my %has = map { $_ => 1 } $c->read_ending("END\r\n") =~ /VALUE (\S+)/g;
        $hits += grep { $has{$_} } @wanted;
        next if !$opt{fill};
        $c->send(join '', map { "set $_ 0 0 100 noreply\r\n$value\r\n" }
                grep { !$has{$_} } @wanted);
    }
    return $hits / $count;
}

my @option = ('-m', 2, '-t', 1);
my ($master, $standby) = start_pair(a => [@option], b => [@option]);
my $c = $master->client;
# Hints are bounded in bytes a second: it is not hurried.
my $had = 0;
for (1 .. $requests / 1_000) {
    $had = 0.95 * $had + 0.05 * ratio($c, 1_000, fill => 1);
    wait_for { in_sync($master, $standby) } 10;
}
ok((wait_for { in_sync($master, $standby) } 10), 'in sync');
my ($one, $two) = map { scalar $_->stats } $master, $standby;
cmp_ok $_->{curr_items}, '<', $keys / 4, "$_->{curr_items} of $keys keys have room"
    for $one, $two;
cmp_ok $_->{evictions}, '>', $_->{curr_items}, 'there were more evictions'
    for $one, $two;
is $two->{cmd_get}, 0, 'the standby was never asked';
$master->kill_hard;
my $has = ratio($standby->client, 20_000);
cmp_ok $had, '>', 0.7, sprintf 'hit ratio of the master: %.3f', $had;
cmp_ok $has, '>=', 0.95 * $had, sprintf 'of the standby after it: %.3f', $has;
done_testing;
