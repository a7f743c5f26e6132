#!/usr/bin/perl
# repcached 2.x on the other side, played from a script: it accepts and copies.

use strict;
use warnings;

use FindBin;
use IO::Socket::INET;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

# Reads until the text matches; gives all of it.
sub hears
{
    my ($sock, $want, $name) = @_;
    my $text = '';
    $sock->blocking(0);
    my $ok = wait_for {
        sysread $sock, $text, 65_536, length $text;
        $text =~ $want
    }
    10;
    ok $ok, $name or diag $text;
    return $text;
}

my $old = IO::Socket::INET->new(
    LocalAddr => '127.0.0.1',
    LocalPort => free_port(),
    Listen    => 1,
    ReuseAddr => 1
) or die "$!";
my $mc = spawn_memcached({port => free_port()}, '-v', '-x', '127.0.0.1', '-X',
    free_port() . ':' . $old->sockport);
my $link = $old->accept;
hears($link, qr/\Arepcached3 [^\n]*\r\n\z/, 'the dialler says hello first');
syswrite $link, "rep t 0 0 1 1\r\nx\r\nrep a 4294967295 0 3 2\r\nab";
ok !$mc->try_client, 'the port is closed while the copy runs';
syswrite $link, "c\r\nsomething unknown\r\nmarugoto_end\r\n";
ok((wait_for { $mc->try_client } 5), 'then it is open');
my $c = $mc->client;
is_deeply [($c->gets('a'))[0, 1]], ['abc', 2**32 - 1], 'an item of the copy';
like $mc->stderr, qr/: connect \(peer=\S+\)\n.*: marugoto copying\n.*: start\n/s,
    'and the lines of 2.x';
ok((wait_for { $mc->stats('replication')->{dialect} eq 'legacy' } 5), 'dialect');

$c->set('b', 'hi', 2**31);
hears($link, qr/^rep b 2147483648 0 2 \d+\r\nhi\r\n/m, 'a set');
$c->ask('incr nothing 1');
$c->set('n', '5');
$c->ask('incr n 3');
hears($link, qr/^rep n 0 0 1 \d+\r\n8\r\n\z/m, 'the result of incr');
$c->ask('delete a');
hears($link, qr/\Adelete a\r\n\z/, 'a delete');
$c->set('big', 'x' x (1_048_576 - 100));
my $big = hears($link, qr/\r\n\z/, 'a value near 1 MB');
like substr($big, 0, 20), qr/\A(?:rep big 0 0 1048476|delete big)/,
    'as an item, or away';
hears($link, qr/x\r\n\z/, 'all of it') if $big =~ /\Arep/ && $big !~ /x\r\n\z/;
$c->ask('flush_all');
hears($link, qr/\Aflush_all \r\n\z/, 'flush_all, with its space');
syswrite $link, "rep c -2147483648 0 2 9\r\nok\r\ndelete b\r\n";
ok((wait_for { $c->get('c') } 5), 'a change of its own');
is(($c->gets('c'))[1], 2**31, 'its negative flags are meant to be positive');
syswrite $link, "flush_all \r\n";
ok((wait_for { !defined $c->get('c') } 5), 'its flush_all');
close $link;
close $old;
ok((wait_for { $mc->stderr =~ /: close\n/ } 5), 'and its end');
done_testing;
