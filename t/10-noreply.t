#!/usr/bin/perl
# noreply: where it is honoured, where it is not.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached();
my $c  = $mc->client;
my $line = 'CLIENT_ERROR bad command line format';

$c->send("set a 1 0 1 noreply\r\n1\r\n");
$c->says("get a\r\n", "VALUE a 1 1\r\n1\r\nEND\r\n", 'set');
$c->send("add b 0 0 1 noreply\r\n2\r\nadd b 0 0 1 noreply\r\n3\r\n");
$c->says("get b\r\n", "VALUE b 0 1\r\n2\r\nEND\r\n", 'add, twice');
$c->send("replace b 0 0 1 noreply\r\n4\r\nreplace z 0 0 1 noreply\r\n4\r\n");
$c->says("get b z\r\n", "VALUE b 0 1\r\n4\r\nEND\r\n", 'replace');
$c->send("append b 0 0 1 noreply\r\n5\r\nprepend b 0 0 1 noreply\r\n3\r\n");
$c->says("get b\r\n", "VALUE b 0 3\r\n345\r\nEND\r\n", 'append, prepend');
$c->send("incr b 1 noreply\r\nincr b 1 noreply\r\ndecr b 1 noreply\r\n");
$c->says("get b\r\n", "VALUE b 0 3\r\n346\r\nEND\r\n", 'incr, decr');
my $cas = ($c->gets('b'))[2];
$c->send("cas b 7 0 1 $cas noreply\r\n9\r\ncas b 0 0 1 1 noreply\r\n8\r\n");
$c->says("get b\r\n", "VALUE b 7 1\r\n9\r\nEND\r\n", 'cas');
$c->send("touch a -1 noreply\r\ntouch z 1 noreply\r\n");
$c->says("get a\r\n", "END\r\n", 'touch');
$c->send("delete b noreply\r\ndelete b noreply\r\n");
$c->says("get b\r\n", "END\r\n", 'delete');
is $c->set('b', 'x'), 'STORED';
$c->send("delete b 0 noreply\r\n");
$c->says("get b\r\n", "END\r\n", 'delete with 0');
is $c->set('b', 'x'), 'STORED';
$c->send("flush_all noreply\r\nverbosity 0 noreply\r\n");
$c->says("get b\r\n", "END\r\n", 'flush_all');

# Errors are quiet as well, but for the line itself.
$c->send("incr z x noreply\r\ntouch z x noreply\r\n");
$c->send("set k x 0 1 noreply\r\nv\r\n");
$c->send('set ' . ('k' x 251) . " 0 0 1 noreply\r\nv\r\n");
$c->send("nonsense noreply\r\n");
$c->send('set k 0 0 2000000 noreply' . "\r\n" . ('v' x 2_000_000) . "\r\n");
$c->nothing_more('errors are quiet');
$mc->client->ends_with("set k 0 0 1 noreply\r\nvv\r\n", '', 'bad data too');
$mc->client->ends_with("set k 0 0 x noreply\r\n", "$line\r\n",
    'a bad length is not');

$c->says("set k 0 0 1 noreply junk\r\nv\r\n", "STORED\r\n",
    'only the last word counts');
$c->send("set k 0 0 1 junk noreply\r\nw\r\n");
$c->says("get k\r\n", "VALUE k 0 1\r\nw\r\nEND\r\n", 'junk before it');
$c->says("get k noreply\r\n", "VALUE k 0 1\r\nw\r\nEND\r\n",
    'get answers in any case');
$c->says("gat 0 k noreply\r\n", "VALUE k 0 1\r\nw\r\nEND\r\n", 'gat too');
like $c->ask('version noreply'), qr/\AVERSION /, 'version too';
$c->nothing_more;
done_testing;
