#!/usr/bin/perl
# Keys of 250 and 251 bytes, lines of 2048 and 2049, long key lists.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc   = start_memcached();
my $c    = $mc->client;
my $line = 'CLIENT_ERROR bad command line format';
my ($fits, $long) = ('k' x 250, 'k' x 251);

is $c->set($fits, 'x'), 'STORED', 'a key of 250 bytes';
$c->says("get $fits\r\n", "VALUE $fits 0 1\r\nx\r\nEND\r\n");
$c->says("touch $fits 0\r\n", "TOUCHED\r\n");
$c->says("append $fits 0 0 1\r\ny\r\n", "STORED\r\n");
$c->says("delete $fits\r\n", "DELETED\r\n");

for my $verb (qw(set add replace append prepend)) {
    $c->says("$verb $long 0 0 3\r\nabc\r\n", "$line\r\n",
        "$verb: 251 bytes refused, data swallowed");
}
$c->says("cas $long 0 0 3 1\r\nabc\r\n", "$line\r\n", 'cas');
$c->says("delete $long\r\n",  "$line\r\n", 'delete');
$c->says("incr $long 1\r\n",  "$line\r\n", 'incr');
$c->says("touch $long 1\r\n", "$line\r\n", 'touch');
$c->says("get $long\r\n",     "$line\r\n\r\n",
    'get: the doubled line end is what clients know');
$c->says("get a $long b\r\n", "$line\r\n\r\n", 'in the middle of a list');

# 2,048 bytes without a line end are kept, one more is not.
my $edge = $mc->client;
$edge->send('x' x 2048);
$edge->send("\r\n");
is $edge->line, "ERROR\r\n", '2,048 bytes, then the line end';
my $over = $mc->client;
$over->send('x' x 2049);
$over->closes('2,049 bytes without a line end');
my $endless = $mc->client;
$endless->send_only('y' x 3_000_000, 2);
$endless->closes('millions of them');
for my $verb ('get ', 'gets ', '   get ') {
    my $g = $mc->client;
    $g->send($verb . 'k' x 100 . ' a' x 1500);
    $g->send("\r\n");
    is $g->line, "END\r\n", "'$verb' may be longer" if $verb !~ /^ /;
    is $g->line, "ERROR\r\n", "'$verb' may be longer" if $verb =~ /^ /;
}
my $set = $mc->client;
$set->send('set ' . 'k' x 4000);
$set->closes('set may not');

# Lists of keys longer than any buffer, in one piece and in small ones.
is $c->set("key$_", $_), 'STORED' for 1 .. 3;
my $list = join ' ', map { "key" . (1 + $_ % 5) } 1 .. 10_000;
my $want = join '', map {
    my $n = 1 + $_ % 5;
    $n < 4 ? "VALUE key$n 0 1\r\n$n\r\n" : ''
} 1 .. 10_000;
$c->says("get $list\r\n", "${want}END\r\n", '10,000 keys');
my @pieces = "get $list\r\n" =~ /(.{1,700})/gs;
$c->send($_) for @pieces;
$c->says('', "${want}END\r\n", '10,000 keys in pieces of 700 bytes');
$c->nothing_more;
is $mc->client->set('a', 'b'), 'STORED', 'nobody else noticed';
done_testing;
