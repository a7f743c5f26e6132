#!/usr/bin/perl
# pylibmc, a client in daily use, against the daemon.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Clients;
use Memcached;

my $python = '/usr/bin/python3';
plan skip_all => 'python3-pylibmc is not installed'
    if !runs($python, '-c', 'import pylibmc');

my $mc = start_memcached('-m', 100);
client_tests([$python, '-B'], 'pylibmc_client.py', $mc->port);
done_testing;
