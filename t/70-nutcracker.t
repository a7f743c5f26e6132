#!/usr/bin/perl
# twemproxy in front of two daemons: keys spread over them, requests pipelined
# and multigets split, and one that goes is left out.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Client;
use Memcached;

my $nutcracker = '/usr/sbin/nutcracker';
plan skip_all => 'nutcracker is not installed' if !-x $nutcracker;

my @mc   = map { start_memcached() } 1 .. 2;
my $port = free_port();
# By their names, not their ports, keys are spread: the same way each time.
my $conf = scratch_file('nutcracker.yml', <<"END");
pool:
  listen: 127.0.0.1:$port
  hash: fnv1a_64
  distribution: ketama
  auto_eject_hosts: true
  server_retry_timeout: 60000
  server_failure_limit: 1
  timeout: 2000
  servers:
   - 127.0.0.1:@{[$mc[0]->port]}:1 one
   - 127.0.0.1:@{[$mc[1]->port]}:1 two
END
my $log = scratch() . '/nutcracker.log';
my $pid = fork // die "fork: $!";
if ($pid == 0) {
    exec $nutcracker, '-c', $conf, '-o', $log, '-s', free_port() or exit 127;
}
END { kill 'TERM', $pid if $pid }

my $c = wait_for { eval { Client->new(port => $port) } } 10;
ok $c, 'nutcracker listens' or BAIL_OUT('no nutcracker');
my $value = 'v' x 500;
$c->send(join '', map { "set key$_ $_ 0 500\r\n$value\r\n" } 1 .. 1000);
is scalar(grep { $c->line ne "STORED\r\n" } 1 .. 1000), 0, '1000 sets at once';
$c->send('get ' . join(' ', map { "key$_" } 1 .. 1000) . "\r\n");
my $got = $c->read_ending("END\r\n");
is scalar(() = $got =~ /^VALUE key\d+ \d+ 500\r$/mg), 1000, 'a multiget of them';
my @held = map { $_->stats->{curr_items} } @mc;
is $held[0] + $held[1], 1000, 'each on one of the two';
ok $_ > 100, "of which $_ here" for @held;
$c->says("incr key1 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
is $c->set('n', 5), 'STORED';
$c->says("incr n 3\r\n",        "8\r\n");
$c->says("touch n 100\r\n",     "TOUCHED\r\n");
$c->says("delete n\r\n",        "DELETED\r\n");
$c->says("delete n\r\n",        "NOT_FOUND\r\n");
$c->says("append key1 0 0 1\r\n!\r\n", "STORED\r\n");
my ($seen, undef, $cas) = $c->gets('key1');
is $seen, "$value!", 'gets';
$c->says("cas key1 0 0 3 $cas\r\nnew\r\n", "STORED\r\n");
$c->says("cas key1 0 0 3 $cas\r\nnot\r\n", "EXISTS\r\n");
$mc[1]->stop;
ok((wait_for { Client->new(port => $port)->set("late$_", 'x') eq 'STORED' || return 0 for 1 .. 20; 1 } 10),
    'the other takes all when one is gone');
kill 'TERM', $pid;
waitpid $pid, 0;
$pid = 0;
done_testing;
