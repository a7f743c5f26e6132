#!/usr/bin/perl
# Floors known by hash that came just before a stop are carried out before the
# cache is kept: the next start knows them, and would take them for done.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;
use Rogue;

plan skip_all => "built without replication" if !has_replication();

my $ITEMS = 5_000;    # many turns of a sweep
my @keys  = map { "key$_" } 1 .. $ITEMS;
my @rep   = map { free_port() } 0 .. 1;

my $mc = start_memcached({port => free_port()}, '-X', $rep[0], '-e', scratch() . '/kept');
requests([$mc->client], [map { "set $_ 0 0 1\r\nx\r\n" } @keys]);
is $mc->stats->{curr_items}, $ITEMS, 'a node holds them';

# What another says that deleted them later: by hash, as it never held them.
my $other = start_memcached({port => free_port()}, '-X', $rep[1]);
requests([$other->client], [map { "delete $_\r\n" } @keys]);
my $p = Rogue->new($rep[1])->batch(resume());
ok $p->until_copied, 'another tells of their end';
$p->until_heard;
my $said = $p->{buf};
cmp_ok length $said, '>=', 18 * $ITEMS, 'to the last';
$p->close;

# All that, the end of the link and the stop come at one time.
$p = Rogue->new($rep[0]);
like $p->{answer}, qr/\Arepcached3 2 run=/, 'linked';
$mc->signal('STOP');
$p->send_only($said);
$p->shutdown_write;
$mc->signal($_) for qw(USR1 CONT);
is $mc->wait_exit, 0, 'it ends in good order';
$mc->restart;
unlike $mc->stderr, qr/failed to/, 'the next start takes all over';
is $mc->stats->{curr_items}, 0, 'but what was deleted';
is $mc->client->get('key1'), undef, 'to the first';
done_testing;
