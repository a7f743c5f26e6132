#!/usr/bin/perl
# Counters of stats that move when what they count happens, and only then.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

sub numbers { return map { "set $_ 0 0 3000 noreply\r\n" . 'x' x 3000 . "\r\n" } @_ }

# --- bytes, turns, items ------------------------------------------------------------

my $mc = start_memcached('-t', 1, '-R', 1);
my $c  = $mc->client;
my $s  = $mc->stats;
is $s->{$_}, 0, "$_ at first" for qw(conn_yields get_expired total_items malloc_fails);
$c->says("get x\r\n" x 200, "END\r\n" x 200);
my $now = $mc->stats;
cmp_ok $now->{conn_yields}, '>', 5, 'conn_yields';
cmp_ok $now->{bytes_read} - $s->{bytes_read}, '>=', 7 * 200 + 7, 'bytes_read';
cmp_ok $now->{bytes_read} - $s->{bytes_read}, '<', 7 * 200 + 40, 'and not more';
cmp_ok $now->{bytes_written} - $s->{bytes_written}, '>=', 5 * 200 + 2000,
    'bytes_written';

is $c->set('n', 5), 'STORED';
for my $row (['incr n 1', 6, 0], ['incr n 100', 106, 1], ['decr n 100', 6, 0],
    ['incr n 1000000', 1_000_006, 1], ['add n 0 0 1', undef, 0],
    ['append n 0 0 1', undef, 1], ['ma none N0 J5', 'HD', 1])
{
    my ($request, $reply, $links) = @$row;
    my $before = $mc->stats->{total_items};
    my $got    = $c->ask($reply ? $request : "$request\r\nx");
    is $got, $reply, $request if $reply;
    is $mc->stats->{total_items}, $before + $links, "$request: total_items";
}

# --- a flush frees what nobody asks for ---------------------------------------------

$c->send(join '', numbers(map { "k$_" } 1 .. 50));
is $c->ask('mn'), 'MN';
is $mc->stats->{curr_items}, 52, 'curr_items';
is $c->ask('flush_all'), 'OK';
ok((wait_for { $mc->stats->{curr_items} == 0 } 10), 'none after a flush');
is $mc->stats->{get_flushed}, 0, 'though nobody looked';
my %set = map { @$_ } $mc->stats('settings');
cmp_ok $set{oldest}, '>=', 61, 'oldest: on a clock that starts at 62';
cmp_ok $set{oldest}, '<',  75, 'in seconds';
is $c->ask('flush_all 1000'), 'OK';
%set = map { @$_ } $mc->stats('settings');
cmp_ok $set{oldest}, '>', 1055, 'oldest of a flush to come';

# --- listeners ------------------------------------------------------------------------

my %conns = map { @$_ } $mc->stats('conns');
my ($fd)  = map { /\A(\d+):state\z/ && $conns{$_} eq 'conn_listening' ? $1 : () }
    sort keys %conns;
cmp_ok $conns{"$fd:secs_since_last_cmd"}, '<', 20, 'a listener is as old as the daemon';

# --- a full cache ---------------------------------------------------------------------

my $full = start_memcached('-t', 1, '-m', 8);
$c = $full->client;
for my $round (1 .. 3) {
    $c->send(join '', map { (numbers("k$_"), 'get k' . $_ % 200 . "\r\n") } 1 .. 4000);
    $c->send("mn\r\n");
    $c->read_to(qr/\AMN/);
}
$s = $full->stats;
cmp_ok $s->{$_}, '>', 0, $_ for qw(evictions evicted_unfetched evicted_active
    moves_to_cold moves_to_warm moves_within_lru direct_reclaims);
cmp_ok $s->{evictions}, '>=', $s->{evicted_unfetched}, 'not more unfetched than all';
my %items = map { @$_ } $full->stats('items');
my ($class) = map { /\Aitems:(\d+):evicted\z/ && $items{$_} ? $1 : () } keys %items;
is $items{"items:$class:evicted"}, $s->{evictions}, 'in the class, too';
cmp_ok $items{"items:$class:hits_to_$_"}, '>', 0, "hits_to_$_" for qw(hot warm cold);
is $s->{total_items}, $s->{cmd_set}, 'each was linked once';
$c->says("stats reset\r\n", "RESET\r\n");
$s = $full->stats;
is $s->{$_}, 0, "$_ after a reset" for qw(evictions evicted_unfetched moves_to_warm
    direct_reclaims total_items get_hits);

# --- accepting stops --------------------------------------------------------------------

my $few = start_memcached('-c', 60, '-t', 1, '-o', 'no_maxconns_fast');
my @all = map { $few->client(nowait => 1) } 1 .. 70;
$_->send("mn\r\n") for @all[0 .. 9];
is $all[0]->line, "MN\r\n", 'the first is served';
ok((wait_for {
    $all[0]->send("stats\r\n");
    my ($disabled) = $all[0]->read_to(qr/\AEND/) =~ /listen_disabled_num (\d+)/;
    $disabled
} 10), 'listen_disabled_num');
$_->close for @all[1 .. 69];
ok((wait_for { $few->stats->{time_in_listen_disabled_us} > 0 } 10),
    'time_in_listen_disabled_us');
done_testing;
