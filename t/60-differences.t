#!/usr/bin/perl
# What is known to differ from Debian's memcached 1.6.18, and why.
#
# Each row is sent to both. A row whose halves no longer differ fails: the table
# holds differences, nothing else.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $stock = $ENV{STOCK} // '/usr/bin/memcached';
plan skip_all => "no memcached at $stock to compare with" if !-x $stock;

my $format = "CLIENT_ERROR bad command line format\r\n";
my $time   = "CLIENT_ERROR invalid exptime argument\r\n";
my $error  = "ERROR\r\n";
my $chunk  = "CLIENT_ERROR bad data chunk\r\n";
my $usage  = "CLIENT_ERROR usage: stats detail on|off|dump\r\n";
my $long   = 'k' x 251;

my @rows; # request, 1.6.18, ours, why
my $why = '1.6.45 names a missing argument';
push @rows, map { [$_, $error, $format, $why] } "get\r\n", "gets\r\n",
    "incr n\r\n", "touch a\r\n", "delete\r\n", "verbosity\r\n";
push @rows, ["gat 0\r\n", "END\r\n", $format, $why],
    map { [$_, $error, "$format(closed)", "$why; ours closes"] }
    "set a\r\n", "set a 0 0\r\n", "cas a 0 0\r\n";
$why = 'ours runs nothing behind what may be a part of a value';
push @rows, map { ["$_\r\nnonsense\r\n", "$format$error", "$format(closed)", $why] }
    "set a 0 0 x", "add a 0 0 -1", "append a 0 0 2147483646", "set a a 0 0 1";
push @rows, map { ["set a 0 0 1\r\n$_\r\n", "$chunk$error", "$chunk(closed)", $why] }
    "xyz", "xx\nnonsense";
$why = '1.6.45 calls lines of fewer than four bytes malformed';
push @rows, ["mn\n", "MN\r\n", $format, $why],
    map { [$_, $error, $format, $why] } "\r\n", "a\r\n", "ab\n";
$why = '1.6.45 swallows the data of a refused line';
push @rows, map { ["$_\r\nv\r\n", "$format$error", $format, $why] }
    "set a -1 0 1", "set a x 0 1", "add a 0 x 1", "set $long 0 0 1",
    "cas a 0 0 1 x";
push @rows, ["cas a 0 0 1\r\nv\r\n", "$error$error", $format, $why],
    ["set a x 0 1 noreply\r\nv\r\n", $error, '', $why];
$why = '1.6.45 tells a bad length even to who wants no reply';
push @rows, ["set a 0 0 -1 noreply\r\n", '', "$format(closed)", $why];
$why = '1.6.45 takes noreply from the last word, and ignores words before it';
push @rows,
    ["set a 0 0 1 junk noreply\r\nw\r\n", "$error$error", '', $why],
    ["set a 0 0 1 noreply junk\r\nw\r\n", "$error$error", "STORED\r\n", $why],
    ["nonsense noreply\r\n", $error, '', $why],
    ["lru_crawler tocrawl 0 noreply\r\n", $error, '', $why],
    ["flush_all 1000 2 3\r\n", $error, "OK\r\n", $why];
$why = '1.6.45 matches verbs at the first byte of the line only';
push @rows, [" get a\r\n", "END\r\n", $error, $why];
$why = '1.6.45 reads these times as 32 bits';
push @rows, map { ["touch a $_\r\n", "NOT_FOUND\r\n", $time, $why] } 2**31, 1e11;
$why = '1.6.45 reads these numbers as 32 bits';
push @rows, ["slabs automove 4294967296\r\n", "OK\r\n", $format, $why],
    ["stats cachedump 4294967296 1\r\n", "END\r\n", $format, $why];

push @rows, ["set a 0 0 4294967297\r\nv\r\n", "STORED\r\n", "$format(closed)", $why];
$why = '1.6.45 ends the answer to an over-long key twice';
push @rows, map { ["$_\r\n", $format, "$format\r\n", $why] } "get $long",
    "get b $long c";
$why = '1.6.45 matches the words of stats by prefix';
push @rows, ["stats detai x\r\n", $error, $usage, $why];
$why = '1.6.45 names the server as the one to blame';
my $off = "ERROR: shutdown not enabled\r\n";
push @rows, ["shutdown\r\n", $off, "SERVER_$off", $why];

# Everything up to the answer to a request both answer alike, or to the end.
sub answer
{
    my ($mc, $request) = @_;
    my $c    = $mc->client;
    my $sync = "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n";
    $c->send($request);
    $c->send("cache_memlimit 1\r\n");
    my $text = $c->read_to(qr/\A\Q$sync\E/);
    return $text =~ s/\Q$sync\E\z//r . ($c->eof ? '(closed)' : '');
}

my $ours   = start_memcached();
my $theirs = start_memcached({binary => $stock});
plan skip_all => "$stock is not the 1.6.18 this table is about"
    if $theirs->client->ask('version') ne 'VERSION 1.6.18';
for my $row (@rows) {
    my ($request, $old, $new, $reason) = @$row;
    my $name = Client::shown($request, 30);
    Client::same_bytes(answer($theirs, $request), $old, "$name at 1.6.18");
    Client::same_bytes(answer($ours, $request), $new, "$name: $reason");
    isnt $old, $new, "$name differs";
}
done_testing;
