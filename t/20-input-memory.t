#!/usr/bin/perl
# -o read_buf_mem_limit: what connections may keep of requests that are not all
# there, and the rows of stats that tell of it.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Memcached;

my $slots = 8 * 16_384;    # of one worker
my $part  = 'get ' . join ' ', map { "key$_" } 1 .. 1700;

sub buffers { return @{$_[0]->stats}{map { "read_buf_$_" } qw(count bytes oom)} }

# Connections that have sent the beginning of a request.
sub begin
{
    my ($mc, $bytes, $n) = @_;
    my @open = map { $mc->client } 1 .. $n;
    $_->send($bytes) for @open;
    return @open;
}

# --- without a limit ------------------------------------------------------------

my $mc = start_memcached('-t', 1);
is join(' ', buffers($mc)), "8 $slots 0", 'the slots of the worker';
is $mc->stats->{read_buf_bytes_free}, $slots - 16_384, 'but for one all free';
my @open = begin($mc, $part, 100);
ok((wait_for { (buffers($mc))[0] == 108 } 10), 'a hundred keep something');
my (undef, $bytes) = buffers($mc);
cmp_ok $bytes, '>=', $slots + 100 * length $part, 'bytes';
cmp_ok $bytes, '<',  $slots + 100 * (64 + length $part), 'and no more';
$open[0]->says(" x\r\n", "END\r\n", 'the rest of a request');
ok((wait_for { (buffers($mc))[0] == 107 } 10), 'one less');
$_->close for @open;
ok((wait_for { join(' ', buffers($mc)) eq "8 $slots 0" } 10), 'all is free again');

# --- with one -------------------------------------------------------------------

my $mib = 2**20;
$mc = start_memcached('-t', 1, '-o', 'read_buf_mem_limit=1');
is {map { @$_ } $mc->stats('settings')}->{read_buf_mem_limit}, $mib, 'settings';
@open = begin($mc, $part, 100);
my $fit = int(($mib - $slots) / (64 * int((length($part) + 63) / 64)));
ok((wait_for { (buffers($mc))[2] == 100 - $fit } 10), 'those beyond are counted');
my ($count, $used) = buffers($mc);
is $count, 8 + $fit, 'the others keep what they sent';
cmp_ok $used, '<=', $mib, 'within the limit';
my @left = grep { !$_->closed(0.001) } @open;
is scalar @left, $fit, 'those beyond are closed';
$left[-1]->says(" x\r\n", "END\r\n", 'the others served');
my $c = $mc->client;
is $c->set('a', 'x' x 100_000), 'STORED', 'a value takes none of it';
is length $c->get('a'), 100_000, 'nor does one that is sent';
$_->close for @left;
ok((wait_for { (buffers($mc))[0] == 8 } 10), 'free again');
my @again = begin($mc, $part, 5);
ok((wait_for { (buffers($mc))[0] == 13 } 10), 'and used again');

# Another protocol, and a limit that the slots alone exceed.
my $few = start_memcached('-t', 16, '-o', 'read_buf_mem_limit=1');
my $header = substr packet('set', key => 'k' x 200, extras => set_extras()), 0, 40;
@open = begin($few, $header, 20);
ok((wait_for { (buffers($few))[0] == 16 * 8 + 20 } 10), 'small pieces fit');
is $few->client->ask('mn'), 'MN', 'others are served';
is +(buffers($few))[2], 0, 'nobody was refused';
done_testing;
