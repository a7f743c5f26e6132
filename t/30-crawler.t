#!/usr/bin/perl
# The crawler frees what has expired or was flushed, when asked and by itself.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $ok   = "OK\r\n";
my $busy = "BUSY currently processing crawler request\r\n";
my $bad  = "BADCLASS invalid class id\r\n";
my $off  = "CLIENT_ERROR lru crawler disabled\r\n";

sub fill
{
    my ($c, $key, $n, $ttl) = @_;
    $c->send("set $key$_ 0 $ttl 5 noreply\r\nvalue\r\n") for 1 .. $n;
    return $c->ask('mn');
}

my $mc = start_memcached('-vvv');
my $c  = $mc->client;
my $first = wait_for { my $s = $mc->stats;
    $s->{lru_crawler_starts} == 1 && !$s->{lru_crawler_running} } 10;
ok $first, 'it runs once at the start';

fill($c, 'long', 1000, 0);
fill($c, 'short', 1000, 1);
my $gone = wait_for { $c->ask('lru_crawler crawl all');
    $mc->stats->{crawler_reclaimed} == 1000 } 10;
ok $gone, 'what has expired is reclaimed';
my $s = $mc->stats;
is $s->{curr_items}, 1000, 'what lives stays';
cmp_ok $s->{crawler_items_checked}, '>=', 2000, 'checked';
cmp_ok $s->{reclaimed}, '>=', 1000, 'counted as reclaimed, too';
cmp_ok $s->{lru_crawler_starts}, '>', 1, 'starts';
my $items = $mc->stats('items');
my ($class) = map { /^items:(\d+):number$/ } keys %$items;
is $items->{"items:$class:crawler_reclaimed"}, 1000, 'counted in its class';
like $mc->stderr, qr/^LRU crawler found an expired item \(flags: \d+, slab: $class\): short1$/m,
    'and told';

$c->says("flush_all\r\n", $ok);
$gone = wait_for { $c->ask("lru_crawler crawl $class");
    !$mc->stats->{curr_items} } 10;
ok $gone, 'what was flushed is reclaimed';

# --- the answers ---------------------------------------------------------------

my $idle = wait_for { !$mc->stats->{lru_crawler_running} } 10;
ok $idle, 'it is idle';
$c->says("lru_crawler crawl $_\r\n", $bad) for 0, 64, 'x', '1,x', 'al', 'allx';
$c->says("lru_crawler crawl ,\r\n", "NOTSTARTED no items to crawl\r\n");
$c->says("lru_crawler crawl hash\r\n", "ERROR an unknown error happened\r\n");
$c->says("lru_crawler $_\r\n", "ERROR\r\n")
    for 'crawl', 'crawl 1 2', 'enable x', 'disable x';
$c->says("lru_crawler enable\r\n", "ERROR failed to start lru crawler thread\r\n");

fill($c, 'k', 5000, 0);
$c->says("lru_crawler sleep 1000000\r\nlru_crawler crawl 1,2,63\r\n", "$ok$ok");
$c->says("lru_crawler crawl all\r\n", $busy, 'one at a time');
is $mc->stats->{lru_crawler_running}, 1, 'running';
$c->says("lru_crawler disable\r\n", $ok, 'ends in the middle of a pause');
$c->says("lru_crawler disable\r\nlru_crawler crawl 1\r\n", "$ok$off");
is $mc->stats->{lru_crawler_running}, undef, 'no row';
is $mc->stats('settings')->{lru_crawler}, 'no', 'settings say so';
$c->says("lru_crawler e\r\n", $ok, 'on again');
is $mc->stats('settings')->{lru_crawler}, 'yes', 'settings say so';
$c->says("lru_crawler sleep 0\r\nlru_crawler tocrawl 10\r\nstats reset\r\n",
    "$ok${ok}RESET\r\n");
my $checked = wait_for { $c->ask('lru_crawler crawl all');
    $mc->stats->{crawler_items_checked} > 0 } 10;
ok $checked, 'with a number to crawl';
is $mc->stats->{crawler_items_checked} % 10, 0, 'no more of a class are looked at';

done_testing;
