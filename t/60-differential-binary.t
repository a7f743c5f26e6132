#!/usr/bin/perl
# The same packets to Debian's memcached and to ours: the same back.
#
# SEED, SESSIONS and ONLY: see compare_each in t/lib/Differential.pm.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Differential qw(compare_each stock);
use DifferentialBinary qw(binary_session run_binary_session);
use Memcached;

my $stock = stock();
for my $options ([], ['-t', 1, '-R', 1], ['-C', '-F'], ['-B', 'binary', '-t', 2]) {
    my @daemons = map { spawn_memcached(@$_, @$options) } [], [{binary => $stock}];
    for my $daemon (@daemons) { # which may hear of no text
        wait_for { $daemon->alive && $daemon->try_client } 20 or die $daemon->stderr;
    }
    my @side = map { Binary->new($_->client) } @daemons;
    compare_each("sessions, options '@$options'", 600, 2400, sub {
        my $steps = binary_session($_[0]);
        return map {
            run_binary_session($steps, Binary->new($daemons[$_]->client), $side[$_])
        } 0, 1;
    });
    $_->stop for @daemons;
}
done_testing;
