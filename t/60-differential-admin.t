#!/usr/bin/perl
# Commands of administration, whole and in disorder, to Debian's memcached and to
# ours: the same back, and the same in `stats settings` after them.
#
# SEED, SESSIONS and ONLY: see compare_each in t/lib/Differential.pm.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Differential qw(compare_each servers stock);
use DifferentialText qw(pick);
use Memcached;

stock();
my $servers = servers('-t', 1);

sub number { return pick(0, 0, 1, 2, 10, 100, 1000, 30_000, '007', -1, 'x', '', '1x') }

# Without an argument, and with noreply, the most of them are in the table of
# 60-differences.t. No flush that is due while others run, and none at once: of two 1.6.18 forgets
# the first.
my @draws = (
    sub { 'flush_all ' . pick(1_000_000, 2_000_000, '1000000 noreply', 'x', '1x') },
    sub { 'verbosity ' . pick(0, 'x', '0 noreply') },
    sub { 'cache_memlimit ' . pick(7, 8, 64, 100, 1024, 0, 'x', '64 noreply') },
    sub { 'slabs automove ' . number() },
    sub { 'slabs reassign ' . pick('x 1', 'x x', 1, '') },
    sub { 'lru_crawler ' . pick('', 'x', 'enabled', 'crawl', 'crawl x') },
    sub { 'lru_crawler sleep ' . pick(number(), 1_000_000, 1_000_001) },
    sub { 'lru_crawler tocrawl ' . number() },
    sub { 'lru mode ' . pick(qw(flat segmented x), '') },
    sub { 'lru temp_ttl ' . number() },
    sub { sprintf 'lru tune %s %s %s %s', pick(1, 10, 20, 40, 79, 80, 90, 0, 'x'), pick(1, 20, 40, 60, 81),
        pick('0.1', '1.5', 0, -1, 'x'), pick('0.5', 2, 0, 'x') },
    sub { 'stats detail ' . pick('on', 'off', 'x', '') },
);

# What they change. (A crawler that is told to stop does so later in 1.6.18, and
# may then not start.)
my @shown = qw(maxbytes verbosity lru_crawler_sleep lru_crawler_tocrawl
    slab_automove lru_segmented hot_lru_pct warm_lru_pct hot_max_factor warm_max_factor temp_lru
    temporary_ttl detail_enabled);

sub answers
{
    my ($server, @lines) = @_;
    my $c = $server->{daemon}->client;
    $c->send(join '', map { "$_\r\n" } @lines);
    $c->shutdown_write;
    my $text = $c->read_all;
    $c->close;
    my $settings = $server->{daemon}->stats('settings');
    return $text . join '', map { "$_ " . ($settings->{$_} // '-') . "\n" } @shown;
}

compare_each('sessions', 400, 400, sub {
    my @lines = map { pick(@draws)->() =~ s/ \z//r } 0 .. rand 8;
    return (map({ answers($_, @lines) } @$servers), map { Client::shown($_, 100) } @lines);
});
done_testing;
