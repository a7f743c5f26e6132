#!/usr/bin/perl
# UDP: no reply is answered, so that two daemons told of each other by a forged
# datagram do not talk for ever.

use strict;
use warnings;

use FindBin;
use IO::Select;
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Memcached;
use Udp qw(frame);

my $port = free_port();
my $mc   = start_memcached('-U', $port, '-t', 1);
my $u    = Udp->new(port => $port);
my $c    = $mc->client;

# Values that are commands, which would be run when they come back.
my $evil = "x\r\nget evil\r\nset taken 0 0 1\r\nx\r\nget evil";
is $c->set('evil', $evil), 'STORED';
is $c->set('n', 8),        'STORED';

my @text = map { "$_\r\n" } (
    'version', 'get evil', 'gets evil', 'get none', 'gat 0 evil', 'mn',
    'incr n 1', 'decr n 100', 'incr none 1', 'incr evil 1', 'incr n x',
    "set k 0 0 1\r\nv", "add n 0 0 1\r\nv", "cas n 0 0 1 1\r\nv", 'set k 0 0 x',
    "set k 0 0 1\r\nvvv", 'delete k', 'delete k', 'touch n 0', 'touch none 0',
    'touch n x', 'verbosity 0', 'verbosity x', 'flush_all x',
    'cache_memlimit 1', 'shutdown', 'mg evil v k s', 'mg none', 'mg none k q',
    "ms m 1\r\nv", "ms m 1 C1\r\nv", "ms o 1 C1\r\nv", 'ma n', 'ma n q v',
    'ma none', 'ma n v', 'md none', 'md m', 'me n', 'me none', 'mg n ~',
    'stats', 'stats items', 'stats slabs', 'stats sizes', 'stats conns',
    'stats detail dump', 'stats detail x', 'stats x', 'stats reset',
    'slabs automove 1', 'slabs reassign 1 1', 'slabs reassign 1 99', 'slabs x',
    'lru mode flat', 'lru x', 'lru_crawler enable', 'lru_crawler crawl 99',
    'lru_crawler metadump all', 'extstore x', 'refresh_certs', 'watch', 'quit',
    'get ' . 'k' x 251, 'get',
);
my @binary = (
    packet('get', key => 'evil'), packet('getk', key => 'evil'),
    packet('get', key => 'none'), packet('getk', key => 'none'),
    packet('set', key => "x\r\nget evil\r\n", extras => set_extras()),
    packet('getk', key => "x\r\nget evil\r\n"), packet('noop'),
    packet('version'), packet('stat'), packet('quit'), packet(0x7f),
    packet('incr', key => 'n', extras => arith_extras(1, 0, 0)),
    packet('get', key => 'n', extras => 'bad'), packet('sasl_list'),
);

# Asks, and gives the datagrams that come back, as they are.
sub datagrams
{
    my ($request) = @_;
    my $sel = IO::Select->new($u->{sock});
    my @got;
    $u->send_raw(frame(1) . $request);
    $u->send_raw(frame(2) . "mn\r\n");
    while ($sel->can_read(5)) {
        recv $u->{sock}, my $bytes, 65_536, 0;
        return @got if $bytes eq frame(2) . "MN\r\n";
        push @got, $bytes;
    }
    return (@got, 'nothing at all');
}

my @replies = map { datagrams($_) } @text, @binary;
cmp_ok scalar @replies, '>', 70, 'replies';
is scalar(grep { /\A.{8}(?:SERVER_|CLIENT_)?ERROR/s } @replies), 17, 'errors';
for my $reply (@replies, map { frame(1) . $_ } "ERROR\r\n", "\r\n", "1\r\n",
    "12\n", "OK\n", "nonsense noreply\r\n", 'Z' x 2000 . "\nget evil\r\n")
{
    my @again = datagrams(substr $reply, 8);
    is "@again", '', 'no answer to ' . Client::shown(substr($reply, 8), 40);
}
is $c->get('taken'), undef, 'nothing in a value was run';
is $u->ask("get none\r\n"), "END\r\n", 'requests are answered';
done_testing;
