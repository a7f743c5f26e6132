#!/usr/bin/perl
# A chain: the ends do not know each other, the node between passes on what
# each of them changes, and nothing goes round for ever.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;

plan skip_all => "built without replication" if !has_replication();

# Each dials those beside it, or the middle alone dials.
sub chain
{
    my ($ends_dial) = @_;
    my @rep = map { free_port() } 0 .. 2;
    my @to  = $ends_dial ? ([1], [0, 2], [1]) : ([], [0, 2], []);
    my @mc  = map {
        spawn_memcached({port => free_port()}, '-v', '-o', 'rep_timeout=2', '-X',
            $rep[$_], map { ('-x', "127.0.0.1:$rep[$_]") } @{$to[$_]})
    } 0 .. 2;
    $_->wait_ready(20) or die "no answer\n", $_->stderr for @mc;
    ok((wait_for { in_sync(@mc) } 20), 'linked') or diag map { $_->stderr } @mc;
    return @mc;
}

sub sum { my $sum = 0; $sum += $_ for @_; return $sum }

for my $ends_dial (1, 0) {
    my @mc = chain($ends_dial);
    my @c  = map { $_->client } @mc;
    my @keys;

    # Each end changes something of each kind; the other sees it.
    for my $from (0, 2, 1) {
        my $c = $c[$from];
        my @mine = map { "of$from-$_" } 1 .. 200;
        push @keys, @mine;
        requests([$c], [map { "set $_ 5 0 4\r\nv$from$from$from\r\n" } @mine]);
        agree_ok(\@mc, \@mine, 10, "sets on $from");
        $c->says("append of$from-1 0 0 5\r\n+more\r\n", "STORED\r\n");
        $c->says("touch of$from-2 -1\r\n", "TOUCHED\r\n");
        $c->says("touch of$from-3 1000\r\n", "TOUCHED\r\n");
        $c->says("delete of$from-4\r\n", "DELETED\r\n");
        have_ok(\@c, "of$from-4", undef, "a delete on $from");
        have_ok(\@c, "of$from-2", undef, 'a touch into the past');
        have_ok(\@c, "of$from-1", "v$from$from$from+more", 'an append');
        is $c->set("large$from", 'x' x 1_000_000), 'STORED';
        push @keys, "large$from";
        agree_ok(\@mc, \@keys, 10, 'a large one, and all before');
    }

    # The ends change the same keys at once.
    storm(\@c, 300) for 1 .. 3;
    agree_ok(\@mc, [storm_keys()], 10, 'a storm on all three');

    # Soon there is a second in which nothing goes but heartbeats.
    my @now = (0, 0);
    my @before;
    for (1 .. 5) {
        wait_for { 0 } 1 if @before;
        @before = @now;
        @now = map { sum(rows($_, @mc)) } qw(bytes_sent items_sent);
        last if $now[0] < $before[0] + 3000 && $now[1] == $before[1];
    }
    is $now[1], $before[1], 'no item in a second without a change';
    cmp_ok $now[0], '<', $before[0] + 3000, 'and few bytes';

    # The node between dies; what the ends do meanwhile meets when it is back.
    $mc[1]->kill_hard;
    $c[0]->set('of2-7', 'while away');
    $c[2]->ask('delete of0-7');
    $c[2]->set('of0-8', 'while away');
    $mc[1]->restart;
    $c[1] = $mc[1]->client;
    have_ok(\@c, 'of2-7', 'while away', 'set on an end while the middle was away');
    have_ok(\@c, 'of0-7', undef,        'deleted on the other');
    have_ok(\@c, 'of0-8', 'while away', 'and set there');
    agree_ok(\@mc, [@keys, storm_keys()], 10, 'all the same');

    my ($flusher, $other) = $ends_dial ? (0, 2) : (2, 0);
    $c[$flusher]->says("flush_all\r\n", "OK\r\n");
    have_ok(\@c, 'of1-9', undef, "flush_all on $flusher");
    $c[$other]->set('of1-9', 'again');
    have_ok(\@c, 'of1-9', 'again', 'and a set after it');
    agree_ok(\@mc, [@keys, storm_keys()], 10, 'nothing of before is left');
    $_->stop for @mc;
}
done_testing;
