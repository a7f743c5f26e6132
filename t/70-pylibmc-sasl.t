#!/usr/bin/perl
# pylibmc with a name and a password, by SASL.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Sasl;

my $python = '/usr/bin/python3';
plan skip_all => 'python3-pylibmc is not installed'
    if system("$python -c 'import pylibmc' >/dev/null 2>&1") != 0;

my $mc     = sasl_memcached('-m', 100);
my $script = "$FindBin::Bin/clients/pylibmc_sasl.py";
my $out    = qx(timeout 120 $python -B $script @{[$mc->port]} 2>&1);
my $exit   = $? >> 8;
my ($passed, $plan) = (0);
for my $line (split /\n/, $out) {
    if ($line =~ /\A(not )?ok \d+ - (.*)/) {
        ok !$1, $2;
    } elsif ($line =~ /\A1\.\.(\d+)/) {
        $plan = $1;
    } else {
        diag $line;
    }
}
is $exit, 0, 'the script ran to its end';
is(Test::More->builder->current_test - 1, $plan, 'with all of its tests');
done_testing;
