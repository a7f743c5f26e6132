#!/usr/bin/perl
# -o rep_copy_rate: a copy takes its time, what changes meanwhile does not.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(time);

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;

plan skip_all => 'built without replication' if !has_replication();

my ($items, $bytes, $rate) = (2_000, 300, 500_000);
my $port = free_port();
my $from = start_memcached('-X', $port, '-o', "rep_copy_rate=$rate");
my $c    = $from->client;
$c->send(join '', map { "set key$_ 0 0 $bytes noreply\r\n" . 'v' x $bytes . "\r\n" }
        1 .. $items);
wait_for { $from->stats->{curr_items} == $items } 10;

my $began = time;
my $to    = start_memcached('-X', free_port() . ":$port", '-x', '127.0.0.1',
    '-o', 'rep_serve_early');
my $there = $to->client;
wait_for { $to->stats->{curr_items} > 0 } 10;
is $c->set('live', 'now'), 'STORED', 'a change meanwhile';
ok((wait_for { ($there->get('live') // '') eq 'now' } 5), 'goes at once');
cmp_ok $to->stats->{curr_items}, '<', $items, 'before the copy is complete';
ok((wait_for { in_sync($from) && $to->stats->{curr_items} == $items + 1 } 20),
    'which it is in the end');
cmp_ok time - $began, '>', 0.8 * $items * $bytes / $rate, 'and not too soon';
agree_ok([$from, $to], [map { "key$_" } 1 .. $items], 5, 'nothing differs');
done_testing;
