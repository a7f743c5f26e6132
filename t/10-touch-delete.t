#!/usr/bin/perl
# touch and delete: replies, errors, counters.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached();
my $c  = $mc->client;
my $line = 'CLIENT_ERROR bad command line format';
my $time = 'CLIENT_ERROR invalid exptime argument';

$c->says("touch a 100\r\n", "NOT_FOUND\r\n", 'touch, absent');
is $c->set('a', 'one', 1), 'STORED';
$c->says("touch a 100\r\n", "TOUCHED\r\n", 'touch, present');
$c->says("touch a 0\r\n",   "TOUCHED\r\n", 'back to never');
for my $bad ('x', '1x', '2147483648', '99999999999') {
    $c->says("touch a $bad\r\n", "$time\r\n", "touch to $bad");
}
$c->says("touch a\r\n", "$line\r\n", 'no time');
$c->says("touch\r\n",   "$line\r\n", 'no key');
$c->says("touch a 10 extra\r\n", "TOUCHED\r\n", 'one word too many');
my $long = 'k' x 251;
$c->says("touch $long 1\r\n", "$line\r\n", 'key too long');
is $c->get('a'), 'one', 'the item is as it was';
$c->says("touch a -1\r\n", "TOUCHED\r\n", 'a time in the past');
$c->says("get a\r\n",      "END\r\n",     'ends it');
$c->says("touch a 10\r\n", "NOT_FOUND\r\n");

is $c->set('a', 'two'), 'STORED';
$c->says("delete a\r\n",   "DELETED\r\n",   'delete, present');
$c->says("delete a\r\n",   "NOT_FOUND\r\n", 'delete, absent');
is $c->set('a', 'two'), 'STORED';
$c->says("delete a 0\r\n", "DELETED\r\n",   'with the old argument 0');
my $usage = "$line.  Usage: delete <key> [noreply]";
is $c->set('a', 'two'), 'STORED';
$c->says("delete a 5\r\n", "$usage\r\n", 'with another one');
$c->says("delete a x\r\n", "$usage\r\n", 'with junk');
$c->says("get a\r\n", "VALUE a 0 3\r\ntwo\r\nEND\r\n", 'nothing deleted');
$c->says("delete $long\r\n", "$line\r\n", 'key too long');
$c->says("delete\r\n", "$line\r\n", 'no key');

my $s = $mc->stats;
is $s->{cmd_touch},     6, 'cmd_touch';
is $s->{touch_hits},    4, 'touch_hits';
is $s->{touch_misses},  2, 'touch_misses';
is $s->{delete_hits},   2, 'delete_hits';
is $s->{delete_misses}, 1, 'delete_misses';
$c->nothing_more;
done_testing;
