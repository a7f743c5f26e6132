#!/usr/bin/perl
# Clients that have to prove who they are by SASL (-S), at Debian's memcached and
# at ours: the same back.
#
# SEED, SESSIONS and ONLY: see compare_each in t/lib/Differential.pm.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Differential qw(compare_each stock);
use DifferentialBinary qw(run_binary_session);
use DifferentialText qw(pick);
use Memcached;
use Sasl;

my $stock = stock();
local $ENV{SASL_CONF_PATH} = sasl_folder();
my @daemons = map { spawn_memcached(@$_, '-S') } [], [{binary => $stock}];
for my $daemon (@daemons) {
    wait_for { $daemon->alive && $daemon->try_client } 20 or die $daemon->stderr;
}

my @answers = ("\0bob\0secret", "bob\0bob\0secret");
my @wrong   = ("\0bob\0Secret", "\0eve\0secret", "\0bob\0", '', "\0", 'bob', "\0\0secret",
    "\0bob\0secret\0", "eve\0bob\0secret", "\0" . 'b' x 300 . "\0x");

sub auth
{
    my ($value) = @_;
    return packet(pick(qw(sasl_auth sasl_auth sasl_auth sasl_step)),
        key => pick('PLAIN', 'PLAIN', 'PLAIN', 'plain', 'NONE', ''), value => $value, opaque => 7);
}

sub request
{
    my ($n) = @_;
    return pick(
        packet('sasl_list'), packet('version', opaque => 3), packet('noop', opaque => 4),
        packet('get', key => "k$n"), packet('getq', key => "k$n"), packet(0x55),
        packet(pick(qw(set setq)), key => "k$n", extras => set_extras(1, 0), value => 'v'),
        packet('delete', key => "k$n", opaque => 9), packet('stat', key => 'nonsense'),
        packet('flush'),
    );
}

sub session
{
    my ($n) = @_;
    my @steps = map { rand() < 0.5 ? request($n) : auth(pick(@wrong)) } 1 .. rand 4;
    push @steps, packet('sasl_auth', key => 'PLAIN', value => pick(@answers)) if rand() < 0.6;
    return [@steps, map { rand() < 0.9 ? request($n) : auth(pick(@wrong, @answers)) } 1 .. rand 6];
}

# Each alone: 1.6.18 may lose the replies before a refusal that closes.
compare_each('sessions', 500, 500, sub {
    my $steps = session($_[0]);
    return (map({ my $d = $_; run_binary_session([map { my $s = $_; sub { $s } } @$steps],
        Binary->new($d->client), undef) } @daemons), map { shown_packets($_) } @$steps);
});
done_testing;
