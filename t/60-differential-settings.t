#!/usr/bin/perl
# The same bytes to Debian's memcached and to ours: the same bytes back.
# Generated sessions with options that change what is answered.
#
# SEED, SESSIONS and ONLY: see compare_each in t/lib/Differential.pm.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Differential qw(compare_each compare_steps servers stock);
use DifferentialMeta qw(meta_step);
use DifferentialText qw(text_session);
use Memcached;

stock();
my @options = (['-t', 1, '-R', 1], ['-C', '-F'], ['-I', '2m', '-D', '.'], ['-B', 'ascii', '-M']);
for my $options (@options) {
    my $servers = servers(@$options);
    compare_each("sessions, options '@$options'", 600, 600 * @options,
        sub { compare_steps(text_session($_[0], \&meta_step, 0.2), $servers) });
    $_->{daemon}->stop for @$servers;
}
done_testing;
