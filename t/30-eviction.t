#!/usr/bin/perl
# Eviction: memory stays bounded, what is used stays.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached('-m', 8, '-t', 2);
my $c  = $mc->client(timeout => 60);
my $v  = 'v' x 100;

is $c->set("hot$_", "hot $_"), 'STORED' for 1 .. 5;
my $n = 0;
for my $round (1 .. 60) {
    $c->send(join '',
        map { sprintf "set cold%d 0 0 100 noreply\r\n%s\r\n", $n++, $v }
            1 .. 4000);
    $c->send('get ' . join(' ', map { "hot$_" } 1 .. 5) . "\r\n");
    my $got = () = $c->read_to(qr/\AEND\r\n/) =~ /^VALUE/mg;
    is $got, 5, "round $round: what is read stays" if $got != 5 || $round == 60;
    last if $got != 5;
}
my $s = $mc->stats;
cmp_ok $s->{evictions}, '>', 150_000, 'most of 240,000 were evicted';
cmp_ok $s->{curr_items}, '>', 30_000, 'a good many are there';
cmp_ok $s->{bytes}, '<=', 8 << 20, 'within -m';
is $s->{limit_maxbytes}, 8 << 20, 'limit_maxbytes';
is $s->{total_items}, $n + 5, 'total_items';
is $s->{cmd_set}, $n + 5, 'cmd_set';
my $items = $mc->stats('items');
my ($class) = map { /items:(\d+):evicted\z/ && $items->{$_} > 1000 ? $1 : () }
    sort keys %$items;
ok $class, 'a class that evicted';
is $items->{"items:$class:evicted"}, $s->{evictions}, 'counts its evictions';
is $items->{"items:$class:evicted_nonzero"}, 0, 'none had a time';
cmp_ok $items->{"items:$class:evicted_unfetched"}, '>', 100_000,
    'they were not read';
is $c->set('last', 'x'), 'STORED';
is $c->get('last'), 'x', 'a new item is not its own victim';
is $c->set("o$_", 'v' x 200_000), 'STORED' for 1 .. 100;
is $c->get('o100'), 'v' x 200_000, 'other sizes find room too';

# -M: no eviction, an error instead.
my $full = start_memcached('-M', '-m', 4);
my $f    = $full->client(timeout => 60);
my ($stored, $reply) = (0, 'STORED');
while ($stored < 100_000 && $reply eq 'STORED') {
    $reply = $f->set("k$stored", $v);
    $stored++ if $reply eq 'STORED';
}
is $reply, 'SERVER_ERROR out of memory storing object', '-M says so';
cmp_ok $stored, '>', 10_000, 'after a good many';
is $f->get('k0'), $v, 'the first is there';
is $f->get('k' . ($stored - 1)), $v, 'so is the last';
my $fs = $full->stats;
is $fs->{evictions}, 0, 'no evictions';
is $fs->{curr_items}, $stored, 'all are there';
cmp_ok $fs->{store_no_memory}, '>=', 1, 'store_no_memory';
is $f->set('k5', 'w' x 100), 'STORED', 'a value of the same size replaces one';
is $f->get('k5'), 'w' x 100, 'in its place';
is $f->ask('delete k7'), 'DELETED';
is $f->set('new', $v), 'STORED', 'the room of a deleted one is free';
is $full->stats('settings')->{evictions}, 'off', 'stats settings';
$c->nothing_more;
done_testing;
