#!/usr/bin/perl
# A node whose cache is kept (-e) returns with it: its peer sends what changed meanwhile and
# nothing else, what was deleted on either side stays deleted, whoever dials.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Memcached;
use Test::More;

plan skip_all => 'built without replication' if !has_replication();

my $items = is_sanitized() ? 1_000 : 3_000;

sub row { my ($mc, $name) = @_; return $mc->stats('replication')->{$name} // 0 }

sub in_sync
{
    return !grep { !linked($_) || !row($_, 'in_sync') } @_;
}

# The keys of which the two differ.
sub differing
{
    my ($one, $two, @keys) = @_;
    my @c = map { $_->client } $one, $two;
    return grep { ($c[0]->get($_) // '-') ne ($c[1]->get($_) // '-') } @keys;
}

sub stop_warm
{
    my ($mc) = @_;
    $mc->signal('USR1');
    is $mc->wait_exit, 0, 'it ends in good order';
    return;
}

for my $dials ('a', 'ab') {
    my @files = map { scratch() . "/$dials$_" } 1, 2;
    my ($one, $two) =
        start_pair(dials => $dials, a => ['-e', $files[0]], b => ['-e', $files[1]]);
    my $c = $one->client;
    $c->send("set key$_ 3 0 5 noreply\r\nvalue\r\n") for 1 .. $items;
    $two->client->set("ours$_", 'old') for 1 .. 20;
    $c->ask("delete key$_") for 1 .. 20;
    ok((wait_for { in_sync($one, $two) && $two->stats->{curr_items} == $items } 20),
        "$dials: a pair holds $items items");
    my $run = row($two, 'run_id');

    # One is away; the other goes on.
    my $full = row($one, 'full_copies_sent');
    stop_warm($two);
    $c->set("key$_", 'new')    for 21 .. 60;
    $c->ask("delete key$_")    for 61 .. 80;
    $c->ask("delete ours$_")   for 1 .. 10;
    $c->set('while', 'away');
    $two->restart(nowait => 1);
    my $back;
    ok((wait_for { $back = $two->try_client } 20), 'it answers again');
    if ($dials ne 'a') {    # who dials is complete before it serves
        is $back->get('while'), 'away', 'with what it missed';
        is $back->get('key61'), undef,  'without what went';
    }
    ok((wait_for { in_sync($one, $two) } 20), 'linked again');
    unlike $two->stderr, qr/failed to/, 'everything was taken over';
    isnt row($two, 'run_id'), $run, 'as another run';
    is row($one, 'full_copies_sent'), $full, 'no full copy to it';
    is row($two, 'full_copies_sent'), 0,     'nor from it';
    cmp_ok row($two, 'items_received'), '<', 100, 'it got what changed';
    my @keys = ((map { "key$_" } 1 .. $items), (map { "ours$_" } 1 .. 20), 'while');
    is join(' ', differing($one, $two, @keys)), '', 'both hold the same';
    is $two->stats->{curr_items}, $items - 20 - 10 + 1, 'and nothing else';

    # Both ways, and the deletes of before stay.
    $two->client->set('key1', 'anew');
    ok((wait_for { ($c->get('key1') // '') eq 'anew' } 5), 'both ways');
    is $c->get('key2'), undef, 'deleted stays deleted';

    # The other one, at rest: nothing is sent at all. Then both, one after the other.
    stop_warm($one);
    $one->restart;
    ok((wait_for { in_sync($one, $two) } 20), 'the other one, too');
    is row($one, 'full_copies_sent') + row($two, 'full_copies_sent'), 0, 'no full copy';
    is row($one, 'items_received'), 0, 'nothing to send';
    stop_warm($two);
    $one->client->set('last', $dials);
    stop_warm($one);
    $two->restart(nowait => 1);
    $one->restart;
    ok $two->wait_ready(20), 'both answer';
    ok((wait_for { in_sync($one, $two) } 20), 'both');
    is $two->client->get('last'), $dials, 'what one wrote alone';
    is row($one, 'full_copies_sent') + row($two, 'full_copies_sent'), 0, 'no full copy';
    $_->stop for $one, $two;
}
done_testing;
