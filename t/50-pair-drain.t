#!/usr/bin/perl
# SIGTERM: what is still queued reaches the peer before the process ends.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

for my $round (1 .. 3) {
    my ($one, $two, @relay) = start_pair(relay => 1);
    $_->delay(20) for @relay;
    my $c = $one->client;
    my $n = 5_000;
    $c->send(join '', map { "set key$_ 0 0 4 noreply\r\ndata\r\n" } 1 .. $n);
    is $c->get("key$n"), 'data', 'all are stored';
    $one->stop;
    is $one->{exit}, 0, 'ends in order';
    ok((wait_for { $two->stats->{curr_items} == $n } 2),
        'the peer has what was queued');
    $two->stop;
}
done_testing;
