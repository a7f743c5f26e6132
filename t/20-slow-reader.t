#!/usr/bin/perl
# A client that does not read costs bounded memory and stops nobody.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached('-t', 1, '-m', 64);
my $c  = $mc->client;
is $c->set('v', 'v' x 1_000), 'STORED';
is $c->set('w', 'w' x 500_000), 'STORED';
$c->get('v');
$c->get('w');
my $before = $mc->rss;

# 20 clients ask for gigabytes and read nothing.
my @slow;
for my $i (1 .. 20) {
    my $s = $mc->client(rcvbuf => 4096);
    my $key = $i % 2 ? 'v' : 'w';
    $s->send_only("get $key $key $key $key\r\n" x 20_000, 0.2);
    push @slow, $s;
}
for (1 .. 50) {
    $c->says("get v\r\n",
        'VALUE v 0 1000' . "\r\n" . 'v' x 1000 . "\r\nEND\r\n",
        'the same worker serves others') || last;
}
cmp_ok $mc->rss - $before, '<', 40_000_000, 'memory stays bounded'
    if !is_sanitized;

# One of them starts to read: every byte is there, in order.
my $one  = "VALUE v 0 1000\r\n" . 'v' x 1000 . "\r\n";
my $want = ($one x 4) . "END\r\n";
my $bad  = 0;
for (1 .. 200) {
    $bad++ if $slow[0]->read(length $want) ne $want;
    last   if $bad;
}
is $bad, 0, 'what it reads is right';
my $large = 'VALUE w 0 500000' . "\r\n" . 'w' x 500_000 . "\r\n";
my $text  = $slow[1]->read(length($large) * 4 + 5);
ok $text eq ($large x 4) . "END\r\n", 'large values too';

# A value that is referenced by blocked output is deleted and replaced.
is $c->set('w', 'new'), 'STORED';
$text = $slow[3]->read(length $large);
ok $text eq $large, 'a blocked reader still gets what it asked for first';
$_->reset for @slow;
ok((wait_for { $mc->stats->{curr_connections} <= 3 } 10), 'all are gone');

# Pipelined writes whose answers nobody reads.
my $w = $mc->client(rcvbuf => 4096);
$w->send_only("set k 0 0 1\r\nx\r\n" x 400_000, 0.3);
is $c->set('z', '1'), 'STORED', 'unread STOREDs stop nobody';
$w->reset;
$c->nothing_more;
done_testing;
