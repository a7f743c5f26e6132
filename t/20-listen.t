#!/usr/bin/perl
# -l: several addresses, ports of their own, IPv6; the port file.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my ($one, $two, $three) = map { free_port() } 1 .. 3;

my $mc = start_memcached({port => $one}, '-l', "127.0.0.1,127.0.0.2:$two");
is $mc->client->set('a', 'x'), 'STORED', 'the port of -p';
my $other = Client->new(host => '127.0.0.2', port => $two);
ok $other, 'an address with a port of its own';
is $other->get('a'), 'x', 'serves the same items';
ok !Client->new(host => '127.0.0.2', port => $one), 'that one alone';
is_deeply [sort map { "@$_" } $mc->ports],
    [sort "TCP INET $one", "TCP INET $two"], 'the port file has both';
my %conns = map { @$_ } $mc->stats('conns');
is scalar(grep { $_ eq 'conn_listening' } values %conns), 2,
    'stats conns shows two listeners';
is $mc->stats('settings')->{inter}, "127.0.0.1,127.0.0.2:$two",
    'stats settings shows what was given';

my $twice = start_memcached({port => $three}, '-l', '127.0.0.1', '-l',
    '127.0.0.3');
ok(Client->new(host => '127.0.0.3', port => $three), '-l given twice');

my $free = start_memcached();
my ($row) = $free->ports;
is $row->[0], 'TCP INET', 'the kernel chooses the port of -p -1';
cmp_ok $row->[1], '>', 1024, 'and the port file tells it';

my ($exit, undef, $err) =
    run_binary(($> == 0 ? ('-u', 'root') : ()), '-l', '127.0.0.1', '-p',
    $free->port, has_replication() ? ('-X', free_port()) : ());
is $exit, 71, 'a port that is taken';
like $err, qr/^failed to listen on one of interface\(s\) 127\.0\.0\.1: /m,
    'is named';

SKIP: {
    my $probe = IO::Socket::IP->new(LocalHost => '::1', Listen => 1);
    skip 'no IPv6 on this machine', 4 if !$probe;
    my $six = start_memcached({host => '::1'});
    my $c   = $six->client;
    is $c->set('a', 'six'), 'STORED', 'IPv6';
    is $c->get('a'), 'six';
    like join(' ', map { $_->[1] } $six->stats('conns')),
        qr/tcp6:\[::1\]:\d+/, 'stats conns says so';
    my $both = start_memcached({port => free_port()}, '-l', '127.0.0.1,[::1]');
    ok(Client->new(host => '::1', port => $both->port), 'both families');
}
done_testing;
