#!/usr/bin/perl
# Values up to the limit, and those too large: swallowed, answered.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc  = start_memcached('-m', 256);
my $c   = $mc->client;
my $big = 'SERVER_ERROR object too large for cache';

# 1 MB less what an item costs in the accounting clients rely on.
my $fits = 1_048_516;
for my $n (0, 1, 100, 2047, 2048, 2049, 4096, 16_383, 16_384, 16_385, 65_536,
    400_000, 524_288, 700_000, 1_000_000, $fits)
{
    my $value = substr "abcdefghij$n-" x (1 + $n / 10), 0, $n;
    is $c->set('k', $value), 'STORED', "$n bytes";
    Client::same_bytes($c->get('k'), $value, "$n bytes come back");
}
is $c->set('k', 'x' x ($fits + 1)), $big, 'one byte more';
is $c->get('k'), undef, 'a set that fails takes the old value along';
is $c->set('k', 'x' x ($fits - 3), 1), $big, 'client flags take room';
is $c->set('k', 'x' x ($fits - 4), 1), 'STORED', 'four bytes of it';

is $c->set('k', 'old'), 'STORED';
for my $verb (qw(add replace append prepend)) {
    my $name = $verb eq 'add' ? 'other' : 'k';
    is $c->ask("$verb $name 0 0 2000000\r\n" . 'x' x 2_000_000), $big,
        "$verb: too large";
}
is $c->get('k'), 'old', 'the old value stays after those';
is $c->ask("set k 0 0 30000000\r\n" . 'x' x 30_000_000), $big,
    '30 MB are swallowed';
$mc->client->ends_with("set k 0 0 2147483646\r\n",
    "CLIENT_ERROR bad command line format\r\n", 'longer than any value');
is $c->set('half', 'h' x 600_000), 'STORED';
is $c->ask("append half 0 0 600000\r\n" . 'x' x 600_000), 'NOT_STORED',
    'append beyond the limit';
is length $c->get('half'), 600_000, 'leaves the value';
is $c->ask("append half 0 0 400000\r\n" . 'y' x 400_000), 'STORED',
    'append within it';
Client::same_bytes($c->get('half'), 'h' x 600_000 . 'y' x 400_000,
    'both parts');
is $c->ask("prepend half 0 0 5\r\nfront"), 'STORED', 'prepend to chunks';
is substr($c->get('half'), 0, 10), 'fronthhhhh';

# An upload that never ends must not keep anyone waiting, nor leak.
for (1 .. 20) {
    my $cut = $mc->client;
    $cut->send("set cut 0 0 1000000\r\n" . 'z' x 500_000);
    $cut->close;
}
ok((wait_for { $mc->stats->{curr_connections} <= 3 } 10), 'they are gone');
is $c->get('cut'), undef, 'half an upload is no value';
is $mc->stats->{store_too_large}, 7, 'store_too_large';
$c->nothing_more;
done_testing;
