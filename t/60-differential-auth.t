#!/usr/bin/perl
# Clients that have to authenticate themselves (-Y), at Debian's memcached and at
# ours: the same back. Not drawn, as 1.6.45 does otherwise: `setx`, passwords that
# begin or end with blanks or have none, and a first line of less than six bytes.
#
# SEED, SESSIONS and ONLY: see compare_each in t/lib/Differential.pm.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Differential qw(compare_each normalise stock);
use DifferentialText qw(pick);
use Memcached;

my $stock = stock();
my $users = scratch_file('users', "bob:secret\nann:other\nx:\n");
my @daemons = map { spawn_memcached(@$_, '-Y', $users) } [], [{binary => $stock}];
for my $daemon (@daemons) {
    wait_for { $daemon->alive && $daemon->try_client } 20 or die $daemon->stderr;
}

sub attempt
{
    my ($data) = @_;
    return sprintf "%s %s %s %s %d%s\r\n%s\r\n", 'set', pick('k', 'a' x 300),
        pick(0, 'x'), pick(0, 'y'), length $data, pick('', '', ' noreply', ' 1 2'), $data;
}

my @right = ('bob secret', 'ann other');
my @wrong = ('bob', 'Bob secret', 'bob secre',
    'bob secrets', 'eve secret', 'ann othe', "bob\0secret", 'z' x 300, 'y ' . 'z' x 3000);
my @lines = ("get foobar\r\n", "version\r\n", "delete foo\r\n", "set a b\r\n", "add k 0 0 3\r\n",
    "set k 0 0 x\r\n", "nonsense\r\n");

# Requests, each of which has one line for an answer, but for the last.
sub session
{
    my ($n) = @_;
    my @steps = map { pick(pick(@lines), attempt(pick(@wrong))) } 1 .. rand 5;
    return (@steps, pick(@lines)) if rand() < 0.3;
    return (@steps, attempt(pick(@right)), join '', pick('', "set s$n 0 0 3\r\nabc\r\nget s$n\r\n"),
        pick(@lines[0, 1, 2, 6], ''), pick("set k 0 0 9\r\nbob wrong\r\n", ''), pick("quit\r\n", "get s$n\r\n"));
}

# In pieces, and all that came back until the end. (Of refusals in one packet
# 1.6.18 tells the last.)
sub answer
{
    my ($c, $cut, @steps) = @_;
    my $got = '';
    my $last = pop @steps;
    for my $step (@steps) {
        $c->send(substr $step, 0, $cut);
        $c->send(substr $step, $cut) if $cut < length $step;
        $got .= $c->line(10) // '(nothing)';
    }
    $c->send($last);
    $c->shutdown_write;
    return normalise($got . $c->read_all);
}

compare_each('sessions', 900, 900, sub {
    my @steps = session($_[0]);
    my $cut   = pick(1 .. 20, 100_000);
    return (map({ answer($_->client, $cut, @steps) } @daemons), map { Client::shown($_, 200) } @steps);
});
done_testing;
