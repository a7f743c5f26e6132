#!/usr/bin/perl
# Two million items: the index grows, and nothing is lost on the way.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $count = is_sanitized() ? 300_000 : 2_000_000;
my $mc    = start_memcached('-m', 1024, '-t', 2);
my $c     = $mc->client(timeout => 60);

my $slowest = 0;
my $batch   = 10_000;
for (my $i = 0; $i < $count; $i += $batch) {
    $c->send(join '',
        map { "set key$_ 0 0 8 noreply\r\n" . sprintf("%08d\r\n", $_) }
            $i .. $i + $batch - 1);
    my $probe = int rand($i + $batch);
    my $got   = $c->get("key$probe");
    next if defined $got && $got eq sprintf '%08d', $probe;
    fail "key$probe while at $i";
    last;
}
my $s = $mc->stats;
is $s->{curr_items}, $count, "$count items";
is $s->{evictions}, 0, 'none evicted';
ok((wait_for { !$mc->stats->{hash_is_expanding} } 10), 'growth comes to an end');

my $bad = 0;
for (my $i = 0; $i < $count && !$bad; $i += 1000) {
    my $end = $i + 999;
    $c->send('get ' . join(' ', map { "key$_" } $i .. $end) . "\r\n");
    my $want = join '',
        map { "VALUE key$_ 0 8\r\n" . sprintf("%08d\r\n", $_) } $i .. $end;
    my $got = $c->read(length($want) + 5);
    next if $got eq "${want}END\r\n";
    $bad = 1;
    Client::same_bytes($got, "${want}END\r\n", "items from $i on");
}
ok !$bad, 'each is there with its value';

# Every other one is deleted, and only those.
for (my $i = 0; $i < $count; $i += 2 * $batch) {
    $c->send(join '',
        map { 'delete key' . ($i + 2 * $_) . " noreply\r\n" } 0 .. $batch - 1);
}
is $c->get('key1'), '00000001', 'odd ones stay';
is $mc->stats->{curr_items}, $count / 2, 'half of them';
$bad = 0;
for (1 .. 2000) {
    my $i   = int rand $count;
    my $got = $c->get("key$i");
    $bad++ if $i % 2 ? ($got // '') ne sprintf('%08d', $i) : defined $got;
}
is $bad, 0, 'the right half';
is $mc->stats->{delete_hits}, $count / 2, 'delete_hits';
$c->nothing_more;
done_testing;
