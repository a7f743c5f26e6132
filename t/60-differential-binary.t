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
for my $options ([], ['-t', 1, '-R', 1], ['-C', '-F']) {
    my @daemons = (start_memcached(@$options),
        start_memcached({binary => $stock}, @$options));
    my @side = map { Binary->new($_->client) } @daemons;
    compare_each("sessions, options '@$options'", 600, 1800, sub {
        my $steps = binary_session($_[0]);
        return map {
            run_binary_session($steps, Binary->new($daemons[$_]->client), $side[$_])
        } 0, 1;
    });
    $_->stop for @daemons;
}
done_testing;
