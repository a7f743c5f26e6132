#!/usr/bin/perl
# The same bytes to Debian's memcached and to ours: the same bytes back.
# Generated sessions of the meta protocol, with commands of text among them.
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
my $servers = servers();
compare_each('sessions', 2600, 2600,
    sub { compare_steps(text_session($_[0], \&meta_step, 0.8), $servers) });
done_testing;
