#!/usr/bin/perl
# UDP: frames, series of datagrams, and requests that are not all there.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Memcached;
use Udp qw(frame);

my $port = free_port();
my $mc   = start_memcached('-U', $port, '-vv', '-t', 1);
my $u    = Udp->new(port => $port);
my $c    = $mc->client;
my $x    = set_extras();
my $v    = "VALUE k 0 1\r\nv\r\n";

# --- one reply, one message ------------------------------------------------------

my @talk = (
    ["set k 0 0 1\r\nv\r\n",            "STORED\r\n"],
    ["set q 0 0 1 noreply\r\nv\r\n",    ''],
    ["get k\r\n",                       "${v}END\r\n"],
    ["get k\n",                         "${v}END\r\n"],
    ["get x\r\n",                       "END\r\n"],
    ["get k k\r\n",                     "$v | ${v}END\r\n"],
    ["get k x\r\n",                     "$v | END\r\n"],
    ["get x k\r\n",                     "${v}END\r\n"],
    ["get x x\r\n",                     "END\r\n"],
    ["gat 0 k x k\r\n",                 "$v | ${v}END\r\n"],
    ["get k\r\nincr x 1\r\nmn\r\n",     "${v}END\r\n | NOT_FOUND\r\n | MN\r\n"],
    ['get k ' . 'k' x 251 . " k\r\n",   "CLIENT_ERROR bad command line format\r\n"],
    ["nonsense\r\nmn\r\n",              ''],
    ["mn\r\nnonsense\r\nmn\r\n",       "MN\r\n"],
    ["stats x\r\nlru x\r\n",           "ERROR\r\n | ERROR\r\n"],
    ["mn\r\nget k",                     "MN\r\n"],
    ['get k',                           ''],
    ['x' x 5000,                        ''],
    ["quit\r\nmn\r\n",                  ''],
    ["set k 0 0 abc\r\nmn\r\n",         "CLIENT_ERROR bad command line format\r\n"],
    ["set k 0 0 1\r\nabc\r\nmn\r\n",    "CLIENT_ERROR bad data chunk\r\n"],
    ["mn\r\nset k 0 0 9\r\nv\r\nmn\r\n", "MN\r\n | CLIENT_ERROR bad data chunk\r\n"],
    ["set k 0 0 9 noreply\r\nv\r\n",    ''],
    ["set k 0 0 9\r\n",                 "CLIENT_ERROR bad data chunk\r\n"],
    [packet('noop') . "mn\r\n" x 9,     packet('noop', magic => 0x81)],
    ["mn\r\n" . packet('noop'),         "MN\r\n"],
    [packet('setq', key => 'b', extras => $x, value => 'b'), ''],
    [packet('getkq', key => 'x') . packet('quitq'), ''],
    [substr(packet('noop'), 0, 23),     ''],
);
for my $row (@talk) {
    my ($request, $reply) = @$row;
    is $u->ask($request), $reply, Client::shown($request, 40);
}
is_deeply [map { shown_packets($_) } $u->messages(join '', packet('version'),
        packet('get', key => 'b'), packet('get', key => 'x'))],
    ['version 0000 "1.6.45"', 'get 0000:cas flags 0 "b"',
        'get 0001 "Not found"'], 'binary';
is shown_packets($u->ask(packet('set', key => 'b', extras => $x, body => 99))),
    'set 0004 "Invalid arguments"', 'binary, a value that is not all there';
$c->says("get k q b\r\n", "VALUE k 0 1\r\nv\r\nVALUE q 0 1\r\nv\r\n"
    . "VALUE b 0 1\r\nb\r\nEND\r\n", 'what is stored');

# --- frames ------------------------------------------------------------------------

is $u->ask("mn\r\n", seq => 7, reserved => 9), "MN\r\n",
    'sequence number and reserved are not looked at';
is $u->ask("mn\r\n", count => $_), '', "one of $_ datagrams" for 0, 2, 256;
$u->send_raw($_) for '', 'x', "\0" x 7, frame(9);
is $u->ask("mn\r\n"), "MN\r\n", 'short datagrams do no harm';

# --- sizes -------------------------------------------------------------------------

# A message is cut every 1392 bytes: Udp.pm looks at each datagram.
for my $size (1360 .. 1375, 2000, 5000, 60_000, 100_000) {
    my $value = substr join('', 1 .. $size), 0, $size;
    $c->set('s', $value);
    my $got = $u->ask("get s\r\n");
    Client::same_bytes($got, "VALUE s 0 $size\r\n$value\r\nEND\r\n",
        "$size bytes");
}
my $most = 'm' x 65_000;
is $u->ask("set m 0 0 65000\r\n$most\r\n"), "STORED\r\n", 'a large request';
Client::same_bytes($c->get('m') // '', $most, 'is stored');
like $u->ask("stats\r\n"), qr/\ASTAT pid.*END\r\n\z/s, 'stats';
is join(', ', $u->problems), '', 'every datagram was as it should be';
like $mc->stderr, qr/^<\d+ server listening \(udp\)$/m, '-vv';
like $mc->stderr, qr/^<(\d+) get k\n>\1 sending key k\n>\1 END\n/m, 'requests';
done_testing;
