#!/usr/bin/perl
# slabs automove, lru, lru_crawler's numbers, extstore: every reply, and what
# `stats settings` shows afterwards.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $ok     = 'OK';
my $error  = 'ERROR';
my $format = 'CLIENT_ERROR bad command line format';
my $window = 'CLIENT_ERROR automove window too low or too high';
my $pcts   = 'ERROR hot and warm pcts must not exceed 80';
my $factor = 'ERROR hot/warm age factors must be greater than 0';
my $sleep  = 'CLIENT_ERROR sleep must be one second or less';

my @rows = (
    [$ok, 'slabs automove 0', 'slabs a 1', ' slabs automove 2 more words',
        'slabs automove ratio 0.5', 'slabs a r -3', 'slabs automove ratio 0.7 x',
        'slabs automove freeratio 0.02', 'slabs automove window 3',
        'slabs automove w 1800', 'slabs automove window 20 x'],
    [$error, 'slabs', 'slabs automove', 'slabs automove 3', 'slabs x 1',
        'slabs automovex 1', 'slabs automove ratio', 'slabs automove ratio x'],
    [$format, 'slabs automove x', 'slabs automove -1',
        'slabs automove window', 'slabs automove window x'],
    [$window, 'slabs automove window 2', 'slabs automove window 1801'],

    [$ok, 'lru tune 10 20 0.1 2.5', 'lru t 0 0 0.1 2', ' lru tune 40 40 1 1 x',
        'lru mode flat', 'lru mode s', 'lru m f', 'lru temp_ttl 61',
        'lru te -1', 'lru temp_ttl 0 x'],
    [$error, 'lru', 'lru tune', 'lru tune 1 2 3', 'lru tune x 2 3 4',
        'lru tune 1 2 x 4', 'lru tune 1 1 nan 1', 'lru mode', 'lru mode x', 'lru temp_ttl',
        'lru temp_ttl x', 'lru x 1', 'lrux'],
    [$pcts, 'lru tune 40 41 1 1', 'lru tune 81 0 1 1',
        'lru tune 4294967295 1 1 1'],
    [$factor, 'lru tune 1 1 0 1', 'lru tune 1 1 1 -1'],

    [$ok, 'lru_crawler sleep 0', 'lru_crawler s 1000000',
        'lru_crawler tocrawl 4294967295', 'lru_crawler t 7'],
    [$error, 'lru_crawler', 'lru_crawler sleep', 'lru_crawler sleep 1 2',
        'lru_crawler tocrawl', 'lru_crawler tocrawl 1 2', 'lru_crawler x'],
    [$format, 'lru_crawler sleep x', 'lru_crawler sleep -1',
        'lru_crawler tocrawl x', 'lru_crawler tocrawl 4294967296'],
    [$sleep, 'lru_crawler sleep 1000001'],

    (map { [$ok, "extstore $_ 5"] } qw(item_size item_age low_ttl recache_rate
        compact_under drop_under max_sleep drop_unread i r max_frag)),
    [$ok, 'extstore max_frag 0.5', 'extstore free_memchunks 63 1'],
    [$error, 'extstore', 'extstore item_size', 'extstore item_size x',
        'extstore item_size -1', 'extstore max_frag x', 'extstore foo 1',
        'extstore free_memchunks 64 1', 'extstore free_memchunks 1'],
);

my $mc = start_memcached();
my $c  = $mc->client;
for my $row (@rows) {
    my ($reply, @lines) = @$row;
    $c->says("$_\r\n", "$reply\r\n") for @lines;
}
$c->send("$_ noreply\r\n") for 'slabs automove 1', 'slabs automove x',
    'lru tune 10 20 0.1 2.5', 'lru mode flat', 'lru temp_ttl 9',
    'lru_crawler sleep 5', 'extstore foo 1', 'slabs';
$c->nothing_more('noreply hides every answer');

my %want = (
    slab_automove => 1, slab_automove_ratio => '0.70',
    slab_automove_window => 20, hot_lru_pct => 10, warm_lru_pct => 20,
    hot_max_factor => '0.10', warm_max_factor => '2.50', lru_segmented => 'no',
    temp_lru => 'yes', temporary_ttl => 9, lru_crawler_tocrawl => 7,
    lru_crawler_sleep => 1_000_000, # the noreply made two words of it
);
my $is = $mc->stats('settings');
is $is->{$_}, $want{$_}, "settings $_" for sort keys %want;

$mc = start_memcached('-o', 'no_lru_maintainer');
$c  = $mc->client;
$c->says("$_\r\n", "$error\r\n", "$_ without the maintainer")
    for 'lru mode flat', 'lru temp_ttl 5';

done_testing;
