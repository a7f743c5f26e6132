#!/usr/bin/perl
# Those who come and go, and what is evicted, as a watcher sees it, beside
# Debian's memcached. (1.6.18 has no stream of deletions.)

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Differential qw(servers stock);
use Memcached;

stock();

# Who comes, and why it goes.
my $servers = servers('-t', 1);
my @events = map { $_->{daemon}->client } @$servers;
is $_->ask('watch connevents'), 'OK', 'watch connevents' for @events;
for my $bytes (packet('noop'), packet('quit'), packet('get', key => 'k' x 251), packet('set', key => 'k'), "version\r\n", "quit\r\n", '', "GET / HTTP/1.1\r\n\r\n", 'x' x 3000) {
    my @told;
    for my $i (0, 1) {
        my $c = $servers->[$i]{daemon}->client;
        $c->send($bytes);
        $c->shutdown_write;
        $c->read_all;
        push @told, join '', map { $events[$i]->line(10) // '(nothing)' } 1, 2;
        $told[-1] =~ s/^ts=\d+\.\d+ gid=\d+ //mg;
        $told[-1] =~ s/ (?:cfd|rport)=\K\d+/N/g;
    }
    is $told[0], $told[1], 'connevents: ' . Client::shown($bytes, 30);
}
$_->{daemon}->stop for @$servers;

# What goes is another matter, and in which form it is told.
$servers = servers('-m', 2, '-I', '512k', '-t', 1);
my @forms;
for my $i (0, 1) {
    my ($w, $c) = map { $servers->[$i]{daemon}->client } 1, 2;
    is $w->ask('watch evictions'), 'OK';
    $c->send(join '', map { "set e$_ 0 " . ($_ % 2 ? 1000 : 0) . " 9000 noreply\r\n" . 'x' x 9000 . "\r\n" } 1 .. 400);
    $c->ask('version');
    my %forms = map { s/\Ats=\d+\.\d+ gid=\d+ //r =~ s/ (?:key=e|clsid=|la=|ttl=)\K\d+/N/gr => 1 }
        map { $w->line(10) // '(nothing)' } 1 .. 100;
    push @forms, join '', sort keys %forms;
}
is $forms[0], $forms[1], 'evictions';
like $forms[0], qr/ key=eN fetch=no ttl=N la=N clsid=N size=9000$/m, 'one that had a time to live';
done_testing;
