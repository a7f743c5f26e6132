#!/usr/bin/perl
# pymemcache over TLS: all it does in clear it does there.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Certs;
use Memcached;

my $python = '/usr/bin/python3';
plan skip_all => 'python3-pymemcache is not installed'
    if system("$python -c 'import pymemcache' >/dev/null 2>&1") != 0;

my $ca     = Certs->new;
my $mc     = tls_memcached($ca, '-m', 100);
my $script = "$FindBin::Bin/clients/pymemcache_client.py";
my $out    = qx(timeout 120 $python -B $script @{[$mc->port]} @{[$ca->file]} 2>&1);
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
