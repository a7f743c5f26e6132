#!/usr/bin/perl
# pymemcache over TLS: all it does in clear it does there.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Certs;
use Clients;
use Memcached;

my $python = '/usr/bin/python3';
plan skip_all => 'python3-pymemcache is not installed'
    if !runs($python, '-c', 'import pymemcache');

my $ca = Certs->new;
my $mc = tls_memcached($ca, '-m', 100);
client_tests([$python, '-B'], 'pymemcache_client.py', $mc->port, $ca->file);
done_testing;
