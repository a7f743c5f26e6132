#!/usr/bin/perl
# Two nodes that dial each other at the same moment link, every time.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

use Time::HiRes qw(time);

my $limit = is_sanitized() ? 10 : 2;

for my $round (1 .. 20) {
    my @rep = (free_port(), free_port());
    my $start = time;
    my @mc = map {
        spawn_memcached(
            {port => free_port()}, '-x', 'localhost', '-t', 1, '-X',
            "$rep[$_]:$rep[1 - $_]", '-m', 16
        )
    } 0, 1;
    my $ok = wait_for {
        !grep { !($_->try_client && linked($_)) } @mc
    }
    $limit;
    ok $ok, sprintf 'start %d: linked after %.3f s', $round, time - $start;
    my @c = map { $_->client } @mc;
    $c[0]->set('a', $round);
    $c[1]->set('b', $round);
    ok((wait_for { ($c[1]->get('a') // '') eq $round
                && ($c[0]->get('b') // '') eq $round } 5), 'and both give');
    $_->stop for @mc;
}
done_testing;
