#!/usr/bin/perl
# memccapable, the conformance test of libmemcached, in text and binary.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $tool = '/usr/bin/memccapable';
plan skip_all => 'memccapable (libmemcached-tools) is not installed'
    if !-x $tool;

my $mc = start_memcached();
my $out = qx($tool -h 127.0.0.1 -p @{[$mc->port]} -t 10 2>&1);
my @rows = grep { /\[\w+\]\s*$/ } split /\n/, $out;
for my $row (@rows) {
    my ($name, $result) = $row =~ /\A(.*?)\s*\[(\w+)\]\s*\z/;
    is $result, 'pass', $name;
}
is scalar @rows, 54, 'it ran its tests';
is $? >> 8, 0, 'and is content' or diag $out;
done_testing;
