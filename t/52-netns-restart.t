#!/usr/bin/perl
# A peer that is killed and comes back empty, whichever side dials.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Netns;
use Pair;

plan skip_all => "built without replication" if !has_replication();

my $net   = Netns->new(2);
my $items = is_sanitized() ? 1_000 : 10_000;
my @keys  = ('away', map { "key$_" } 1 .. $items);

# Kills node $n of a pair, writes to the other, starts it again.
sub round
{
    my ($mc, $n, $dials) = @_;
    my ($back, $stays) = @{$mc}[$n, 1 - $n];
    my $name = "$n killed, dialled by @$dials";
    $back->kill_hard;
    ok((wait_for { !linked($stays) } 5), "$name: the other notices");
    my $c = $stays->client;
    $c->set('away', $name);
    is $c->ask('delete key1'), 'DELETED', 'and takes changes';
    my $want = contents($stays, @keys);
    is scalar keys %$want, $items, 'and has everything else';

    my $waits = grep { $_ == $n } @$dials;
    $back->restart(nowait => $waits);
    if ($waits) {
        ok((wait_for { $back->try_client } 10), "$name: it serves");
        is_deeply contents($back, @keys), $want, 'all, from the first answer';
    }
    agree_ok($mc, \@keys, 2, $name);
    is_deeply contents($stays, @keys), $want, 'the other lost nothing';
    is $back->stats->{curr_items}, $items, 'and nothing came of nothing';
    $_->client->set('key1', $name) for @$mc;
    agree_ok($mc, \@keys, 5, 'both ways');
    return;
}

for my $dials ([0, 1], [0], [1]) {
    my @mc =
        start_nodes($net, dials => $dials, args => ['-o', 'rep_timeout=2']);
    # Half of it comes from each side.
    requests(
        [map { $_->client } @mc],
        map {
            my $side = $_;
            [
                map { "set key$_ $side 0 100\r\n" . $side x 100 . "\r\n" }
                    grep { $_ % 2 == $side } 1 .. $items
            ]
        } 0, 1
    );
    agree_ok(\@mc, \@keys, 5, 'a pair');
    round(\@mc, $_, $dials) for 0, 1;
    $_->stop for @mc;
}
done_testing;
