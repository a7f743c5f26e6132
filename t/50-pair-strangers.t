#!/usr/bin/perl
# Who is not a peer gets nothing on the replication port and stops nobody.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

my @rep = (free_port(), free_port());
my $mc  = start_memcached({port => free_port()}, '-X', "$rep[0]:$rep[1]", '-v');
$mc->client->set('secret', 'value');

sub stranger { return Client->new(port => $rep[0], @_) }

for my $noise ("GET / HTTP/1.1\r\n", "rep a 0 0 1 1\r\nx\r\n", "delete secret\r\n",
    "flush_all \r\n", "get secret\r\n", "\0" x 2000, "repcached3\r\n",
    "repcached3 1 run=\r\n", 'x' x 100_000)
{
    my $s = stranger();
    $s->send_only($noise, 0.2);
    $s->closes('closed: ' . Client::shown($noise, 20));
}
my @silent = map { stranger() } 1 .. 40;
$silent[0]->closes('the oldest silent one loses its place');

my $peer = start_memcached({port => free_port()}, '-X', "$rep[1]:$rep[0]", '-x',
    '127.0.0.1', '-v');
is $peer->client->get('secret'), 'value', 'the peer comes in beside them';
ok((wait_for { linked($mc) } 5), 'linked');
$silent[-1]->closes('the youngest silent one is cut off, too');
is $mc->client->get('secret'), 'value', 'no command of a stranger counts';
is $mc->client->get('a'),      undef,   'none at all';

my $third = spawn_memcached({port => free_port()}, '-X',
    free_port() . ":$rep[0]", '-x', '127.0.0.1', '-v', '-o', 'rep_timeout=1');
ok((wait_for { $mc->stderr =~ /^replication: already connected$/m } 5),
    'a second peer is turned away');
ok((wait_for { $third->try_client } 10), 'and serves alone');
ok linked($mc) && linked($peer), 'the pair stays linked';
is $mc->stats('replication')->{copies_received}, 1, 'without a new copy';
my $before = $mc->cpu;
wait_for { 0 } 0.5;
ok $mc->cpu - $before < 0.3, 'no spinning';
done_testing;
