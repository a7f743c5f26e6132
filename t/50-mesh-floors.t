#!/usr/bin/perl
# A chain of three: a delete that was overwritten in the log goes by the hash of
# its key. The node between holds no such item, and passes it on all the same.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;
use Relay;

plan skip_all => "built without replication" if !has_replication();

# The middle is small, and dials both; the first one's log is soon overrun.
my @rep   = map { free_port() } 0 .. 2;
my $relay = Relay->new(to => $rep[0]);
my $to    = '127.0.0.1:' . $relay->port;
my @args  = (
    ['-m', 64, '-o', 'rep_log=4k'],
    ['-m', 4, '-x', $to, '-x', "127.0.0.1:$rep[2]"],
    ['-m', 64]
);
my @mc = map {
    spawn_memcached({port => free_port()}, '-X', $rep[$_], '-o', 'rep_timeout=2', @{$args[$_]})
} 0 .. 2;
$_->wait_ready(20) or die "no answer\n", $_->stderr for @mc;
ok((wait_for { in_sync(@mc) } 20), 'linked') or diag map { $_->stderr } @mc;
my @c = map { $_->client } @mc;

# How many of the keys it holds; asking counts no hit, of which others would hear.
sub held
{
    my ($c, @keys) = @_;
    $c->send(join q{}, map { "me $_\r\n" } @keys);
    return scalar grep { $c->line =~ /\AME / } @keys;
}

my @lost = map { "lost$_" } 1 .. 50;
requests([$c[0]], [map { "set $_ 0 0 50000\r\n" . 'x' x 50_000 . "\r\n" } @lost]);
ok((wait_for { in_sync(@mc) } 10), 'set on one end');

# While the first is apart the middle evicts them all; the last one does not.
$relay->cut;
ok((wait_for { !all_linked($mc[0]) } 10), 'cut');
requests([$c[1]], [map { "set new$_ 0 0 50000\r\n" . 'y' x 50_000 . "\r\n" } 1 .. 250]);
is held($c[1], @lost), 0,  'the middle holds none of them';
is held($c[2], @lost), 50, 'the other end does';

requests([$c[0]], [map { "delete $_\r\n" } @lost]);
requests([$c[0]], [map { "set other$_ 0 0 1\r\nz\r\n" } 1 .. 1000]);
$relay->heal;
ok((wait_for { in_sync(@mc) } 20), 'healed') or diag map { $_->stderr } @mc;
is((rows('full_copies_sent', $mc[0]))[0], 1, 'not by a copy of everything');
is held($c[2], @lost), 0, 'the other end has heard of the deletes';
agree_ok([@mc[0, 2]], [map { "other$_" } 1 .. 1000], 10, 'the rest is the same');
done_testing;
