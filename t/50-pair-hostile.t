#!/usr/bin/perl
# A peer that says what no peer would: it harms nobody but itself.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(time);

use lib "$FindBin::Bin/lib";
use Memcached;
use Rogue;

plan skip_all => "built without replication" if !has_replication();

my $rep = free_port();
my $mc = start_memcached({port => free_port()}, '-X', "$rep:$rep", '-v');
my $c  = $mc->client;
$c->set("key$_", 'value') for 1 .. 1_000;

sub lives
{
    my ($name) = @_;
    is $c->get('key1'), 'value', "$name: lives on";
    return;
}

# --- the scan -------------------------------------------------------------------

for my $at (0x7fff_ffff, 0xffff_ffff, 1 << 47 | 1 << 46) {
    my $p = Rogue->new($rep, run => 7)->batch(resume());
    ok $p->until_copied, 'copied';
    $p->batch(number('SCAN_ACK', 1 << 48 | $at))->until_heard;
    $p->close;
    $p = Rogue->new($rep, run => 7)->batch(resume());
    ok $p->until_copied, 'copied again';
    $p->close;
    lives(sprintf 'cursor %x', $at);
}
Rogue->new($rep)->batch(number('SCAN_ACK', 0), resume())
    ->said_error(1, 'a cursor before there is a scan');

# --- clocks ---------------------------------------------------------------------

for my $clock ('9223372036854775808', '18446744073709551615') {
    is(Rogue->new($rep, clock => $clock)->{answer},
        "repcached3 2 refused=clock\r\n", "a hello at $clock");
    ok(
        (
            wait_for {
                $mc->stats('replication')->{last_error} eq
                    "the peer's clock is over 24 hours ahead"
            }
            5
        ),
        'which is told'
    );
    my $p = Rogue->new($rep)->batch(resume());
    $p->batch(number('PONG', int(1000 * time), $clock));
    $p->said_error(3, "a pong at $clock");
    lives("clock $clock");
}

# --- positions ------------------------------------------------------------------

for my $type (qw(ACK RESUME)) {
    my $p = Rogue->new($rep)->batch(resume());
    $p->until_copied;
    $p->batch(number($type, 1 << 40))->said_error(1, "$type out of turn");
}
my $p = Rogue->new($rep)->batch(resume());
$p->until_copied;
$p->batch(number('POSITION', 1) x 7_000)->until_heard;
lives('many positions');
done_testing;
