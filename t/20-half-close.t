#!/usr/bin/perl
# A client that closes its sending half still gets its answers.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached();
my $c  = $mc->client;
is $c->set('v', 'v' x 100), 'STORED';
my $one = 'VALUE v 0 100' . "\r\n" . 'v' x 100 . "\r\nEND\r\n";

my $h = $mc->client;
$h->send("get v\r\n");
$h->shutdown_write;
$h->says('', $one, 'one request, then half closed');
$h->closes('then closed');

$h = $mc->client;
$h->send_only("get v\r\n" x 5000, 2);
$h->shutdown_write;
$h->says('', $one x 5000, '5,000 requests, then half closed');
$h->closes;

$h = $mc->client;
$h->send("get v\r\nset half 0 0 10\r\nabc");
$h->shutdown_write;
$h->says('', $one, 'the whole request is answered');
$h->closes('the rest of one is dropped');
is $c->get('half'), undef, 'nothing stored of it';

$h = $mc->client;
$h->send("set half 0 0 700000\r\n" . 'x' x 350_000);
$h->shutdown_write;
$h->closes('half of a large one too');

$h = $mc->client;
$h->shutdown_write;
$h->closes('half closed and silent');

for (1 .. 200) {
    my $r = $mc->client;
    $r->send_only("get v\r\nget v", 1);
    $r->reset;
}
$c->says("get v\r\n", $one, 'resets stop nobody');
ok((wait_for { $mc->stats->{curr_connections} <= 3 } 10), 'and leave nothing');
$c->nothing_more;
done_testing;
