#!/usr/bin/perl
# -Z: what goes through TLS arrives as it was, in whatever pieces.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Certs;
use Memcached;

my $ca = Certs->new;

sub works
{
    my ($mc, $name) = @_;
    my $c = tls_client($mc, ca => $ca) or die $@;
    is $c->set('a', 'x'), 'STORED', "$name: set";
    my $big = join ' ', 1 .. 140_000;
    is $c->set('b', $big), 'STORED', "$name: a value of many records";
    ok $c->get('b') eq $big, "$name: comes back";
    $c->says("get a\r\n" x 3000, "VALUE a 0 1\r\nx\r\nEND\r\n" x 3000,
        "$name: pipelined");
    my @sizes = map { int 1 + 60_000 * $_ / 40 } 1 .. 40;
    $c->says(join('', map { "set s$_ 0 0 $_\r\n" . 'v' x $_ . "\r\n" } @sizes),
        "STORED\r\n" x 40, "$name: values across records");
    $c->says('get ' . join(' ', map { "s$_" } @sizes) . "\r\n",
        join('', map { "VALUE s$_ 0 $_\r\n" . 'v' x $_ . "\r\n" } @sizes)
            . "END\r\n", "$name: one answer of pieces of all sizes");

    # Nobody reads until much more is due than the kernel holds.
    my $slow = tls_client($mc, ca => $ca) or die $@;
    my $one  = "VALUE b 0 @{[length $big]}\r\n$big\r\nEND\r\n";
    $slow->send_only("get b\r\n" x 12 . "mn\r\n", 0.3);
    my $all = $slow->read(12 * length($one) + 4);
    ok $all eq $one x 12 . "MN\r\n", "$name: to a slow reader, too";
    return;
}

my $mc = tls_memcached($ca, '-m', 256);
works($mc, 'as it is');
works(tls_memcached($ca, '-m', 256, '-o', 'ssl_wbuf_size=1'), 'a small buffer');
works(tls_memcached($ca, '-m', 256, '-R', 1, '-t', 1, '-o', 'ssl_wbuf_size=64'),
    'a large one, short turns');

# --- the end of a connection ---
my $c = tls_client($mc, ca => $ca) or die $@;
$c->ends_with("mn\r\nquit\r\nmn\r\n", "MN\r\n", 'quit');
$c = tls_client($mc, ca => $ca) or die $@;
$c->ends_with("set k 0 0 3\r\nabcde\r\nmn\r\n", "CLIENT_ERROR bad data chunk\r\n",
    'a refused value');

# --- those that speak no TLS ---
my $waiting = $mc->client;
$waiting->send(pack 'C5', 22, 3, 1, 2, 0);    # begins, and stays
for my $bytes ("version\r\n", "\x80\x0b" . "\0" x 22, "\x16\x03\x01\x00\x05abcde") {
    my $plain = $mc->client;
    $plain->send($bytes);
    my $got = $plain->read_all;
    unlike $got, qr/VERSION|ERROR/, 'in clear: closed without text';
    ok $plain->eof, 'closed';
}
$mc->client->close;
$c = tls_client($mc, ca => $ca) or die $@;
is $c->ask('mn'), 'MN', 'one that does not go on with the handshake stops nobody';
my %stats;
ok +(wait_for {
        $c->send("stats\r\n");
        %stats = $c->read_to(qr/^END/) =~ /STAT (\S+) (\S+)\r\n/g;
        $stats{ssl_handshake_errors} >= 5
    }
    10), 'they count as handshake errors';    # with the one that start-up made
is $stats{ssl_proto_errors}, 0, 'as nothing else';
ok !exists $stats{ssl_new_sessions}, 'no session cache, no figure of it';

$c = tls_client($mc, ca => $ca) or die $@;
$c->send("set h 0 0 3\r\nab");
$c->{sock}->stop_SSL(SSL_no_shutdown => 1);
$c->close;
ok !defined tls_client($mc, ca => $ca)->get('h'), 'what is cut short is not stored';

# --- beside TLS ---
my $port = free_port();
$mc = tls_memcached($ca, '-l', "notls:127.0.0.1:$port,127.0.0.1");
$c = Client->new(port => $port) or die $!;
is $c->ask('mn'), 'MN', 'notls:';
$mc = start_memcached({unix => 1}, '-Z', '-o', $ca->options('server'));
is $mc->client->ask('mn'), 'MN', 'a unix socket speaks in clear';

done_testing;
