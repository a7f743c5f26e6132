#!/usr/bin/perl
# 10,000 connections opened, idled, half closed, reset: no leak.

use strict;
use warnings;

use FindBin;
use POSIX ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $count = is_sanitized() ? 1_000 : 10_000;
my $idle  = 300; # bytes of ours for each that idles

plan skip_all => 'needs the right to open 25,000 files'
    if POSIX::sysconf(POSIX::_SC_OPEN_MAX()) < 2 * $count;

my $mc = start_memcached('-c', 12_000, '-t', 2, '-m', 64, '-b', 4096);
my $c  = $mc->client;
is $c->set('k', 'v' x 100), 'STORED';
my $answer = 'VALUE k 0 100' . "\r\n" . 'v' x 100 . "\r\nEND\r\n";
my $base   = $mc->stats->{curr_connections};

sub open_all
{
    my @all;
    for (1 .. $count) {
        push @all, $mc->try_client || last;
    }
    return \@all;
}

# What the process needs once, whoever comes, is not counted.
for (1 .. 100) {
    $mc->client->says("get k\r\n", $answer, 'warmed up') || last;
}
ok((wait_for { $mc->stats->{curr_connections} <= $base + 1 } 20), 'all closed');
my $empty = $mc->rss;
my $peak;

for my $way (qw(close half reset)) {
    my $all = open_all();
    is scalar @$all, $count, "$way: opened";
    my $bad = 0;
    $_->send("get k\r\n") for @$all;
    for my $conn (@$all) {
        $bad++ if $conn->read(length $answer) ne $answer;
    }
    is $bad, 0, "$way: each is answered";
    $peak //= $mc->rss;
    for my $conn (@$all) {
        $conn->send('set k 0 0 10') if $way eq 'reset';
        $conn->shutdown_write if $way eq 'half';
        $conn->closed(20) or $bad++ if $way eq 'half';
        $conn->reset if $way eq 'reset';
        $conn->close if $way ne 'reset';
    }
    is $bad, 0, "$way: closed in return" if $way eq 'half';
    ok((wait_for { $mc->stats->{curr_connections} <= $base + 1 } 20),
        "$way: none is left");
}
if (!is_sanitized) {
    cmp_ok $peak - $empty, '<', $idle * $count,
        "an idle connection costs under $idle bytes";
    cmp_ok $mc->rss, '<', $peak + 2_500_000, 'and the next ones cost no more';
    note sprintf 'bytes for each idle connection: %.0f',
        ($peak - $empty) / $count;
}
$c->says("get k\r\n", $answer, 'the first connection still works');
done_testing;
