#!/usr/bin/perl
# Whatever bytes come before, in and after a handshake, the daemon lives, keeps
# its descriptors, and serves others.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use IO::Socket;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use Certs;
use Memcached;

my $ca   = Certs->new;
my $mc   = tls_memcached($ca, '-t', 2, '-o', 'ssl_verify_mode=1');
my $seed = $ENV{SEED} // int(time) ^ $$ << 8;
note "SEED=$seed";
srand $seed;

sub noise { return join '', map { chr rand 256 } 1 .. 1 + rand $_[0] }

# --- before a handshake: noise, records of TLS with noise in them, requests ---
my $end = time + 2;
for my $round (1 .. 300) {
    last if time > $end;
    my $c    = $mc->client(timeout => 2);
    my $kind = $round % 4;
    my $text = $kind == 0 ? noise(400) : "get a\r\n" x 20;
    if ($kind > 1) {
        my $body = noise(600);
        $body = "\x01" . pack('xn', length $body) . "\x03\x03$body" if $kind == 3;
        $text = pack('CCCn', 20 + rand 5, 3, rand 5, length $body) . $body;
    }
    $c->send(substr $text, 0, 1 + rand 300, '') while $text ne '';
    rand() < 0.5 ? $c->close : $c->reset;
}
is ask_tls($mc, ca => $ca), 'MN', 'noise in the place of a handshake';

# --- in it and after it: a byte on the way is another one ---
$end = time + 2;
for my $round (1 .. 60) {
    last if time > $end;
    my $c = $mc->client(timeout => 2);
    my $at = int rand 900;
    my ($mine, $theirs) = IO::Socket->socketpair(AF_UNIX,
        SOCK_STREAM, 0) or die "socketpair: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        my $ok = IO::Socket::SSL->start_SSL($mine, SSL_verify_mode => 0, Timeout => 2);
        print $mine "set a 0 0 500\r\n" . 'x' x 500 . "\r\nget a\r\n" if $ok;
        POSIX::_exit(0);
    }
    close $mine;
    my ($seen, $fd) = (0, $c->{sock});
    my $until = time + 2;
    while (time < $until) {
        my $set = IO::Select->new($theirs, $fd);
        my ($from) = $set->can_read(0.05) or last;
        sysread($from, my $bytes, 300) or last;
        if ($from == $theirs) {
            if ($at >= $seen && $at < $seen + length $bytes) {
                substr $bytes, $at - $seen, 1, chr rand 256;
            }
            $seen += length $bytes;
        }
        syswrite $from == $theirs ? $fd : $theirs, $bytes;
    }
    close $theirs;
    waitpid $pid, 0;
    $c->close;
}
is ask_tls($mc, ca => $ca), 'MN', 'bytes changed on the way';

my $c = tls_client($mc, ca => $ca) or die $@;
my %stats;
ok +(wait_for {
        $c->send("stats\r\n");
        %stats = $c->read_to(qr/^END/) =~ /STAT (\S+) (\S+)\r\n/g;
        $stats{curr_connections} <= 3
    }
    10), 'no connection is left behind';
cmp_ok $stats{ssl_handshake_errors}, '>', 20, 'it was noticed';
my @fds = glob "/proc/@{[$mc->pid]}/fd/*";
cmp_ok scalar @fds, '<', 40, 'nor a descriptor';

done_testing;
