#!/usr/bin/perl
# get, gets, gat and gats: hits, misses, order, many keys.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached();
my $c  = $mc->client;
my $line = 'CLIENT_ERROR bad command line format';

$c->says("get a\r\n",   "END\r\n", 'get, miss');
$c->says("gets a b\r\n", "END\r\n", 'gets, misses');
is $c->set('a', 'one',  1), 'STORED';
is $c->set('b', 'twoo', 2), 'STORED';
my ($va, $vb) = ("VALUE a 1 3\r\none\r\n", "VALUE b 2 4\r\ntwoo\r\n");
$c->says("get a b\r\n",      "$va${vb}END\r\n", 'in order asked');
$c->says("get b a\r\n",      "$vb${va}END\r\n", 'in the other order');
$c->says("get a x b\r\n",    "$va${vb}END\r\n", 'a miss is silent');
$c->says("get a a a\r\n",    "$va$va${va}END\r\n", 'twice asked, twice told');
$c->says("get   a   b  \r\n", "$va${vb}END\r\n", 'runs of blanks');
$c->says("get a\n",          "${va}END\r\n", 'LF alone ends a line');
$c->says("get \ta a\tb\r\n", "END\r\n",      'TAB belongs to the key');
is $c->set("\ta", 'tab'), 'STORED';
$c->says("get \ta\r\n", "VALUE \ta 0 3\r\ntab\r\nEND\r\n");

my @cas;
for my $key (qw(a b a)) {
    push @cas, ($c->gets($key))[2];
}
is $cas[0], $cas[2], 'cas stays when nothing changes';
isnt $cas[0], $cas[1], 'cas differs from key to key';
$c->says("gets a b\r\n",
    "VALUE a 1 3 $cas[0]\r\none\r\nVALUE b 2 4 $cas[1]\r\ntwoo\r\nEND\r\n");

for my $verb ('get', 'gets') {
    $c->says("$verb\r\n", "$line\r\n", "$verb alone");
}
$c->says("gat 0 a x b\r\n", "$va${vb}END\r\n", 'gat');
$c->says("gats 0 a\r\n", "VALUE a 1 3 $cas[0]\r\none\r\nEND\r\n", 'gats');
$c->says("gat 0\r\n", "$line\r\n", 'gat without a key');
$c->says("gat x a\r\n", "CLIENT_ERROR invalid exptime argument\r\n",
    'gat with a bad time');
$c->says("gat -1 a\r\n", "${va}END\r\n", 'gat -1 still answers');
$c->says("get a\r\n",    "END\r\n",      'and the item is gone');

is $c->set("k$_", "value $_"), 'STORED' for 1 .. 30;
my $keys = join ' ', map { "k$_" } 1 .. 30;
my $want = join '', map {
    sprintf "VALUE k%d 0 %d\r\nvalue %d\r\n", $_, length "value $_", $_
} 1 .. 30;
$c->says("get $keys\r\n", "${want}END\r\n", '30 keys in one line');

# A line much longer than any buffer of the daemon.
my @many = map { "k$_" } (1 .. 60) x 500;
my $hits = $want x 500;
$c->says("get @many\r\n", "${hits}END\r\n", '30,000 keys in one line');
$c->says('get ' . join(' ', map { "absent-key-$_" } 1 .. 20_000) . "\r\n",
    "END\r\n", '20,000 misses');

my $s = $mc->stats;
is $s->{cmd_get}, $s->{get_hits} + $s->{get_misses}, 'gets are counted';
is $s->{cmd_touch}, 5, 'keys of gat are counted as touched';
$c->nothing_more;
done_testing;
