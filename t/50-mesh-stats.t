#!/usr/bin/perl
# What a node with two peers says of each, and of the whole.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

my @rep = map { free_port() } 0 .. 2;
my @mc  = map {
    my $i = $_;
    spawn_memcached({port => free_port()}, '-X', $rep[$i],
        map { ('-x', "127.0.0.1:$rep[$_]") } grep { $_ != $i } 0 .. 2)
} 0 .. 2;
ok((wait_for { $_->try_client && linked($_) } 20), 'linked with all') for @mc;

my $c = $mc[0]->client;
$c->set("key$_", 'value') for 1 .. 10;
ok((wait_for { $mc[$_]->stats->{curr_items} == 10 } 10), "node $_ has all")
    for 1, 2;
ok((wait_for { $mc[0]->stats('replication')->{in_sync} } 10), 'in sync');

my $s = $mc[0]->stats('replication');
is $s->{link_status}, 'linked', 'the whole is linked';
my @names = qw(
    link_status dialect peer run_id in_sync queued_keys queued_bytes items_sent
    items_received bytes_sent bytes_received full_copies_sent
    partial_copies_sent copies_received full_copy_items full_copy_bytes
    partial_copy_items partial_copy_bytes conflicts_won conflicts_lost lag_ms
    lag_p99_ms clock_skew_ms last_error
);
for my $peer (0, 1) {
    is_deeply [grep { /^peer_${peer}_/ } map { $_->[0] }
            $mc[0]->stats('replication')],
        [map { "peer_${peer}_$_" } @names], "the rows of peer $peer";
    my %p = map { $_ => $s->{"peer_${peer}_$_"} } @names;
    is $p{link_status}, 'linked',     'it is linked';
    is $p{dialect},     'repcached3', 'and of our kind';
    is $p{in_sync},     1,            'and in sync';
    is $p{run_id}, $mc[$peer + 1]->stats('replication')->{run_id},
        'its run is its own';
    like $p{peer}, qr/\A127\.0\.0\.1/, 'it has an address';
    cmp_ok $p{items_sent}, '>=', 10, 'it was sent all';
}
for my $name (qw(items_sent items_received bytes_sent conflicts_won)) {
    my $now = $mc[0]->stats('replication');
    cmp_ok $now->{$name}, '>=',
        $s->{"peer_0_$name"} + $s->{"peer_1_$name"}, "$name is a sum";
}

$mc[1]->kill_hard;
my $after;
ok(
    (   wait_for {
            $after = $mc[0]->stats('replication');
            $after->{peer_0_link_status} eq 'dialing'
        }
        10
    ),
    'one is gone'
);
is $after->{link_status}, 'dialing', 'so the whole is not linked';
is $after->{in_sync},     0,         'nor in sync';
is $after->{peer_1_link_status}, 'linked', 'the other is';
is $after->{peer_0_run_id},      'none',   'nobody runs there';
cmp_ok $after->{peer_0_items_sent}, '>=', $s->{peer_0_items_sent},
    'what it was sent is remembered';
cmp_ok $after->{items_sent}, '>=', $s->{items_sent}, 'in the sum, too';
ok((wait_for { $mc[0]->stats('replication')->{peer_0_last_error} ne 'none' }
        10), 'and why it is away');
done_testing;
