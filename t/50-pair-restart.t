#!/usr/bin/perl
# A node that returns is complete before it serves, and nothing is lost.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

my $items = is_sanitized() ? 5_000 : 50_000;

for my $dials ('ab', 'b') {
    my ($one, $two) = start_pair(dials => $dials);
    my $c = $one->client;
    for (1 .. $items) {
        $c->send("set key$_ 3 0 20 noreply\r\n" . "v$_" . 'x' x (19 - length) . "\r\n");
    }
    is $c->get('absent'), undef, "$items items are stored";
    ok((wait_for { $two->stats->{curr_items} == $items } 20),
        'and on the other');
    $two->client->set('ours', 'before');
    ok((wait_for { ($c->get('ours') // '') eq 'before' } 5), 'both ways');

    for my $round (1 .. 3) {
        $two->kill_hard;
        is $c->get('key1') // '', 'v1' . 'x' x 18, 'the other serves all';
        $c->set('while', "away$round");
        $c->ask('delete key2') if $round == 1;
        $two->restart(nowait => 1);
        my $back;
        ok((wait_for { $back = $two->try_client } 20), 'it answers again');
        is $back->get('while'), "away$round", 'with what it missed';
        is $back->get('key2'),  undef,        'and without what is gone';
        is $back->get('ours'), 'before', 'and what it had itself written';
        is $two->stats->{curr_items}, $items + 1, 'complete at once';
        ok((wait_for { linked($one) && linked($two) } 10), 'linked again');
        $back->set('ours-too', $round);
        ok((wait_for { ($c->get('ours-too') // '') eq $round } 5),
            'both ways');
        $c->ask('delete ours-too');
    }
    $_->stop for $one, $two;
}

# Nobody there: it serves at once.
my $lonely = spawn_memcached({port => free_port()}, '-x', '127.0.0.1', '-X',
    free_port() . ':' . free_port());
ok((wait_for { $lonely->try_client } 2), 'alone, it serves at once');

# The peer's host does not answer: it serves after twice the timeout.
my $relay = Relay->new(to => free_port());
$relay->stall;
my $patient = spawn_memcached({port => free_port()}, '-x', '127.0.0.1', '-X',
    free_port() . ':' . $relay->port, '-o', 'rep_timeout=1');
ok((wait_for { $patient->try_client } 10),
    'a silent peer is not waited for without end');
done_testing;
