#!/usr/bin/perl
# UDP: where it listens, what is told of it, and that it is off by default.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Udp;

# --- off -----------------------------------------------------------------------

my $off = start_memcached();
is $off->stats('settings')->{udpport}, 0, 'off by default';
is scalar(grep { /UDP/ } map { $_->[0] } $off->ports), 0, 'and not in the ports';

# --- ports ---------------------------------------------------------------------

my $port = free_port();
my $same = spawn_memcached({bare => 1}, ($> == 0 ? ('-u', 'root') : ()),
    '-U', $port, '-l', '127.0.0.1',
    has_replication() ? ('-X', free_port()) : ());
ok((wait_for { Client->new(port => $port) } 20), '-U alone is TCP too');
wait_for { $same->ports } 20;    # they are told once all listen
is_deeply [$same->ports], [['TCP INET', $port], ['UDP INET', $port]],
    'both are in the file of ports';
is(Udp->new(port => $port)->expect("mn\r\n", 1), "MN\r\n", 'and UDP');

my $any = start_memcached('-U', -1);
my ($udp) = map { $_->[0] =~ /UDP/ ? $_->[1] : () } $any->ports;
is(Udp->new(port => $udp)->expect("mn\r\n", 1), "MN\r\n", '-U -1 is any port');

# An element's port is that of UDP as well. With two of them one worker serves
# each.
my @port = map { free_port() } 1, 2;
my $list = start_memcached({port => $port[0]}, '-U', 11_211, '-l',
    "127.0.0.1:$port[0],127.0.0.1:$port[1]");
is(Udp->new(port => $_)->expect("mn\r\n", 1), "MN\r\n", "-l with port $_") for @port;
is $list->stats('settings')->{num_threads_per_udp}, 1, 'one worker each';

# --- what is told ---------------------------------------------------------------

my $mc = start_memcached('-U', $port + 0, '-t', 3);
my $u  = Udp->new(port => $port);
is_deeply [$u->expect("mn\r\n", 1)], ["MN\r\n"];
my (%row, @fds);
# Each takes its socket when it gets to it.
ok((wait_for {
    %row = map { @$_ } $mc->stats('conns');
    @fds = map { /\A(\d+):UDP\z/ ? $1 : () } keys %row;
    @fds == 3
} 20), 'stats conns: a row for each worker');
for my $fd (@fds) {
    is $row{"$fd:UDP"}, 'UDP', 'UDP';
    is $row{"$fd:addr"}, "udp:127.0.0.1:$port", 'its address';
    is $row{"$fd:listen_addr"}, undef, 'as of a listener';
}
ok((wait_for { $mc->stats->{curr_connections} == 1 + 3 } 20),
    'they count as connections');

# --- refused ----------------------------------------------------------------------

my @user = $> == 0 ? ('-u', 'root') : ();
my $other = scratch_file('users', "a:b\n");
my ($exit, undef, $err) = run_binary(@user, '-p', 0, '-U', 11_211, '-Y', $other);
is $exit, 64, 'not with -Y';
like $err, qr/^Cannot use UDP with ascii authentication enabled/m, 'it says so';
($exit, undef, $err) = run_binary(@user, '-p', 0, '-U', $port, '-l',
    '203.0.113.1', has_replication() ? ('-X', free_port()) : ());
is $exit, 71, 'an address of somebody else';
like $err, qr/^failed to listen on one of interface\(s\) 203.0.113.1: /m, 'nor this';

# --- many at once -----------------------------------------------------------------

my @clients = map { Udp->new(port => $port) } 1 .. 8;
my $wrong = 0;
for my $n (1 .. 50) {
    for my $i (0 .. $#clients) {
        my @got = $clients[$i]->expect(sprintf("set c%d 0 0 3\r\n%03d\r\nget c%d\r\n",
                $i, $n, $i), 2);
        $wrong++ if "@got" ne sprintf "STORED\r\n VALUE c%d 0 3\r\n%03d\r\nEND\r\n",
            $i, $n;
    }
}
is $wrong, 0, '8 clients';
is join(', ', map { $_->problems } @clients), '', 'each gets its own replies';
done_testing;
