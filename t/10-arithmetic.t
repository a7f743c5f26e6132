#!/usr/bin/perl
# incr and decr: numbers, widths, wrap, errors.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached();
my $c  = $mc->client;
my $line = 'CLIENT_ERROR bad command line format';
my $text = 'CLIENT_ERROR cannot increment or decrement non-numeric value';

$c->says("incr n 1\r\n", "NOT_FOUND\r\n", 'incr, absent');
$c->says("decr n 1\r\n", "NOT_FOUND\r\n", 'decr, absent');
is $c->set('n', '10', 5), 'STORED';
$c->says("incr n 1\r\n",  "11\r\n", 'incr');
$c->says("decr n 1\r\n",  "10\r\n", 'decr');
$c->says("decr n 1\r\n",  "9\r\n",  'decr to fewer digits');
$c->says("get n\r\n", "VALUE n 5 2\r\n9 \r\nEND\r\n",
    'padded to its length, flags kept');
$c->says("decr n 100\r\n", "0\r\n", 'decr stops at 0');
$c->says("get n\r\n", "VALUE n 5 2\r\n0 \r\nEND\r\n");
$c->says("incr n 12345\r\n", "12345\r\n", 'incr to more digits');
$c->says("get n\r\n", "VALUE n 5 5\r\n12345\r\nEND\r\n", 'natural length');
$c->says("incr n 18446744073709551615\r\n", "12344\r\n", 'wraps at 2^64');
$c->says("incr n 0\r\n", "12344\r\n", 'by 0');
$c->says("incr n 1 junk\r\n", "12345\r\n", 'more words are ignored');

is $c->set('m', '18446744073709551615'), 'STORED';
$c->says("incr m 1\r\n", "0\r\n", 'wraps to 0');
$c->says("get m\r\n", 'VALUE m 0 20' . "\r\n0" . (' ' x 19) . "\r\nEND\r\n");

for my $case ([' 5', 6], ['+5', 6], ['007', 8], ['12 a', 13], ['5 ', 6]) {
    is $c->set('v', $case->[0]), 'STORED', "'$case->[0]'";
    $c->says("incr v 1\r\n", "$case->[1]\r\n", 'is a number');
}
for my $value ('-5', '1.5', '12ab', 'a', '', '18446744073709551616') {
    is $c->set('v', $value), 'STORED', "'$value'";
    $c->says("incr v 1\r\n", "$text\r\n", 'is none for incr');
    $c->says("decr v 1\r\n", "$text\r\n", 'nor for decr');
    is $c->get('v'), $value, 'and stays as it was';
}
my $delta = 'CLIENT_ERROR invalid numeric delta argument';
for my $given ('x', '-1', '1x', '18446744073709551616', '1.0') {
    $c->says("incr n $given\r\n", "$delta\r\n", "delta $given");
    $c->says("decr n $given\r\n", "$delta\r\n", "delta $given");
}
$c->says("incr n\r\n", "$line\r\n", 'no delta');
$c->says("incr\r\n",   "$line\r\n", 'nothing at all');
my $long = 'k' x 251;
$c->says("incr $long 1\r\n", "$line\r\n", 'key too long');

is $c->set('e', '1', 0, 100), 'STORED', 'cas moves with each change';
my $cas = ($c->gets('e'))[2];
$c->says("incr e 1\r\n", "2\r\n");
isnt(($c->gets('e'))[2], $cas, 'cas changed');
is $c->set('big', '1' . (' ' x 900_000)), 'STORED', 'a value in chunks';
$c->says("incr big 1\r\n", "$text\r\n", 'counts as no number');

my $s = $mc->stats;
is $s->{incr_misses}, 1, 'incr_misses';
is $s->{decr_misses}, 1, 'decr_misses';
is $s->{incr_hits}, 12, 'incr_hits';
is $s->{decr_hits}, 3, 'decr_hits';
$c->nothing_more;
done_testing;
