#!/usr/bin/perl
# Two clients of Node.js against the daemon: memjs, binary, and memcached, text.
# NODE_PATH, or build/npm (scripts/install-deps), is where they are installed.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Clients;
use Memcached;

my $node = '/usr/bin/node';
$ENV{NODE_PATH} //= "$FindBin::Bin/../build/npm/node_modules";
plan skip_all => 'memjs and memcached of npm are not installed'
    if !runs($node, '-e', 'require("memjs"); require("memcached")');

my $mc = start_memcached('-m', 100);
client_tests([$node], 'memjs_client.js',         $mc->port);
client_tests([$node], 'npm_memcached_client.js', $mc->port);
done_testing;
