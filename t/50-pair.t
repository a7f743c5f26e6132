#!/usr/bin/perl
# A pair: every change made on one side is the other's, both ways.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

my @mc = start_pair();
my @c  = map { $_->client } @mc;

# Waits until a key is on the side $to as it is on $from.
sub same
{
    my ($key, $from, $to, $name) = @_;
    my @want = $c[$from]->gets($key);
    my $ok   = wait_for {
        my @got = $c[$to]->gets($key);
        "@got" eq "@want"
    }
    5;
    ok $ok, $name;
    return;
}

sub gone
{
    my ($key, $to, $name) = @_;
    ok((wait_for { !$c[$to]->gets($key) } 5), $name);
    return;
}

for my $from (0, 1) {
    my $to = 1 - $from;
    my $way = "from $from to $to";
    my $say = sub {
        my ($request, $answer) = @_;
        $c[$from]->says($request, $answer);
        return;
    };
    my ($k) = ("k$from");
    for my $flags (0, 1, 2**31 - 1, 2**31, 2**32 - 1) {
        $c[$from]->set($k, "flags", $flags);
        same($k, $from, $to, "flags $flags $way");
        is(($c[$to]->gets($k))[1], $flags, 'unchanged');
    }
    $say->("add a$from 1 0 3\r\nabc\r\n", "STORED\r\n");
    same("a$from", $from, $to, "add $way");
    $say->("replace a$from 1 0 3\r\ndef\r\n", "STORED\r\n");
    same("a$from", $from, $to, "replace $way");
    $say->("append a$from 0 0 1\r\n+\r\n", "STORED\r\n");
    same("a$from", $from, $to, "append $way");
    $say->("prepend a$from 0 0 1\r\n-\r\n", "STORED\r\n");
    same("a$from", $from, $to, "prepend $way");
    my $cas = ($c[$from]->gets("a$from"))[2];
    $say->("cas a$from 7 0 1 $cas\r\n9\r\n", "STORED\r\n");
    same("a$from", $from, $to, "cas $way");
    $say->("incr a$from 3\r\n", "12\r\n");
    same("a$from", $from, $to, "incr $way");
    $say->("decr a$from 5\r\n", "7\r\n");
    same("a$from", $from, $to, "decr $way");
    $say->("touch a$from -1\r\n", "TOUCHED\r\n");
    gone("a$from", $to, "touch into the past $way");
    $c[$from]->set("t$from", 'x', 0, 100);
    same("t$from", $from, $to, "expiry $way");
    $say->("gat -1 t$from\r\n", "VALUE t$from 0 1\r\nx\r\nEND\r\n");
    gone("t$from", $to, "gat into the past $way");
    $say->("delete $k\r\n", "DELETED\r\n");
    gone($k, $to, "delete $way");
    for my $size (0, 2_000, 100_000, 1_000_000) {
        $c[$from]->set("s$from", "\r\n$from" x ($size / 3));
        same("s$from", $from, $to, "$size bytes $way");
    }
    $c[$from]->send("set n$from 5 0 1 noreply\r\nx\r\n");
    $c[$from]->get('nothing');
    same("n$from", $from, $to, "noreply $way");
    $say->("flush_all\r\n", "OK\r\n");
    gone("n$from", $to, "flush_all $way");
    $c[$from]->set("n$from", 'after');
    same("n$from", $from, $to, "a set after it $way");
}

for my $line ('rep a 0 0 1 1', 'marugoto_end') {
    $c[0]->says("$line\r\n", "ERROR\r\n", "no client may say $line");
}
done_testing;
