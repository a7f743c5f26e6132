#!/usr/bin/perl
# The daemon starts, answers, tells its name and stops in order.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached();
my $c  = $mc->client;
ok $mc->pid, 'it runs';
like $c->ask('version'), qr/\AVERSION \d+\.\d+\.\d+\z/, 'version';
$c->says("set greeting 5 0 5\r\nhello\r\n", "STORED\r\n");
$c->says("get greeting\r\n", "VALUE greeting 5 5\r\nhello\r\nEND\r\n");
$c->says("delete greeting\r\n", "DELETED\r\n");
$c->says("get greeting\r\n", "END\r\n");
is $mc->stats->{pid}, $mc->pid, 'stats tells the pid';

my $unix = start_memcached({unix => 1});
my $u    = $unix->client;
$u->says("set a 0 0 1\r\n1\r\n", "STORED\r\n", 'over a unix socket');
$u->says("quit\r\n", '');
$u->closes('quit closes');

is kill('TERM', $mc->pid), 1, 'SIGTERM';
is $mc->wait_exit, 0, 'exit code 0';
$c->closes('and its clients are gone');

done_testing;
