#!/usr/bin/perl
# Whatever bytes clients send, the daemon lives, answers and stays small.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

use Time::HiRes qw(time);

my $mc   = start_memcached('-t', 2, '-m', 64);
my $c    = $mc->client;
my $seed = $ENV{SEED} // int(time) ^ $$ << 8;
note "SEED=$seed";
srand $seed;
is $c->set('kept', 'kept'), 'STORED';

my @words = (
    qw(get gets gat gats set add replace append prepend cas incr decr delete
        touch stats verbosity version quit mn slabs lru lru_crawler cache_memlimit
        noreply items settings sizes conns detail on off dump cachedump reset
        a b k 0 1 -1 5 250 2048 99999 18446744073709551616 4294967296 x),
    'k' x 250, 'k' x 251, "\0", "\xff\xfe", "\t", '+1', '--', '%s%n', '',
);
my @ends = ("\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n", '', "\n\n");

sub line
{
    my $text = join ' ', map { $words[rand @words] } 1 .. 1 + rand 8;
    return $text . $ends[rand @ends];
}

sub noise { return join '', map { chr rand 256 } 1 .. rand 400 }

sub mutated
{
    my $text = "set a 0 0 10\r\n0123456789\r\nget a b\r\nincr a 1\r\n";
    for (1 .. 1 + rand 4) {
        substr $text, rand length $text, rand 3, chr rand 256;
    }
    return $text;
}

my ($ended, $rounds) = (0, 1500);
my $end = time + 25;
for my $round (1 .. $rounds) {
    last if time > $end;
    my $bad = $mc->client(timeout => 5);
    my $text = join '',
        map { my $r = rand; $r < 0.6 ? line() : $r < 0.8 ? mutated() : noise() }
        1 .. 1 + rand 20;
    $bad->send(substr $text, 0, 1 + rand 200, '') while $text ne '';
    if (rand() < 0.5) {
        $bad->shutdown_write;
        $bad->read_all(5);
        $ended++ if $bad->eof;
    } else {
        $bad->reset;
        $ended++;
    }
    next if $round % 100;
    my $kept = $c->get('kept');
    next if defined $kept && $kept eq 'kept';
    $c->set('kept', 'kept'); # some of it may say delete or flush
}
is $ended, $rounds, 'each connection came to its end';
is $c->set('after', 'x'), 'STORED', 'and others are served';
ok((wait_for { $mc->stats->{curr_connections} <= 3 } 10), 'none is left');
cmp_ok $mc->rss, '<', 150_000_000, 'small' if !is_sanitized;
ok $mc->alive, 'alive';
done_testing;
