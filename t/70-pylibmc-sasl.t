#!/usr/bin/perl
# pylibmc with a name and a password, by SASL.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Clients;
use Memcached;
use Sasl;

my $python = '/usr/bin/python3';
plan skip_all => 'python3-pylibmc is not installed'
    if !runs($python, '-c', 'import pylibmc');

my $mc = sasl_memcached('-m', 100);
client_tests([$python, '-B'], 'pylibmc_sasl.py', $mc->port);
done_testing;
