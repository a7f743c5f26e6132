#!/usr/bin/perl
# -N: workers by the queues of the card; -o sock_cookie_id: marked sockets.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached('-t', 2, '-N', 2);
is $mc->stats('settings')->{num_napi_ids}, 2, '-N is shown';
my @clients = map { $mc->client } 1 .. 4;
like $_->ask('version'), qr/\AVERSION/, 'a client by loopback is served'
    for @clients;
my $stats = $mc->stats;
cmp_ok $stats->{round_robin_fallback}, '>=', 5, 'and counted: it has no queue';
is $stats->{unexpected_napi_ids}, 0, 'which is not unexpected';
my $c = $mc->client;
$c->says("stats reset\r\n", "RESET\r\n");
is $mc->stats->{round_robin_fallback}, 1, 'stats reset';
my $plain = start_memcached();
is $plain->stats->{round_robin_fallback}, 0, 'nothing is counted without -N';

SKIP: {
    my @path = split /:/, $ENV{PATH};
    skip 'marks need root and ss', 2 if $> != 0 || !grep { -x "$_/ss" } @path;
    my $marked = start_memcached({port => free_port()}, '-o',
        'sock_cookie_id=77');
    my $port = $marked->port;
    like scalar `ss -tlneH 'sport = :$port'`, qr/fwmark:0x4d/,
        'the listening socket is marked';
    unlike scalar `ss -tlneH 'sport = :@{[$mc->port]}'`, qr/fwmark/,
        'by this option alone';
}
done_testing;
