#!/usr/bin/perl
# Cache::Memcached::Fast, a client in daily use, against the daemon.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => 'libcache-memcached-fast-perl is not installed'
    if !eval { require Cache::Memcached::Fast; 1 };

my $mc = start_memcached('-m', 100);
my $c  = Cache::Memcached::Fast->new(
    {
        servers            => ['127.0.0.1:' . $mc->port],
        namespace          => 'ns:',
        io_timeout         => 10,
        connect_timeout    => 10,
        compress_threshold => -1,
        utf8               => 1,
        max_size           => 10_000_000,
    }
);
ok $c->flush_all, 'flush_all';
ok $c->set('a', 'one'), 'set';
is $c->get('a'), 'one', 'get';
is $c->get('absent'), undef, 'get, miss';
ok !$c->add('a', 'x'), 'add, present';
ok $c->add('b', 'two', 100), 'add, absent';
ok $c->replace('b', 'TWO'), 'replace';
ok !$c->replace('absent', 'x'), 'replace, absent';
ok $c->append('b', '!'), 'append';
ok $c->prepend('b', '<'), 'prepend';
is $c->get('b'), '<TWO!', 'all of it';
ok $c->set('ref', {list => [1, 2, 3], text => 'x'}), 'a structure';
is_deeply $c->get('ref'), {list => [1, 2, 3], text => 'x'}, 'comes back';
ok $c->set('wide', "\x{263a} smile"), 'wide characters';
is $c->get('wide'), "\x{263a} smile", 'come back';
ok $c->set('n', 10), 'a number';
is $c->incr('n', 5), 15, 'incr';
is $c->decr('n', 20) + 0, 0, 'decr';
ok !defined $c->incr('absent', 1) || !$c->incr('absent', 1), 'incr, absent';
my $pair = $c->gets('a');
is $pair->[1], 'one', 'gets';
ok $c->cas('a', $pair->[0], 'two'), 'cas';
ok !$c->cas('a', $pair->[0], 'three'), 'cas, late';
is $c->get('a'), 'two';
ok $c->touch('a', 100), 'touch';
my $pairs = $c->gat(100, 'a');
is $pairs, 'two', 'gat';
my $stored = $c->set_multi(map { ["k$_", "value $_"] } 1 .. 500);
is scalar(grep { $_ } values %$stored), 500, 'set_multi';
my $many = $c->get_multi(map { "k$_" } 1 .. 600);
is scalar keys %$many, 500, 'get_multi';
is $many->{k77}, 'value 77', 'with the values';
my $gone = $c->delete_multi('k1', 'k2', 'absent');
is scalar(grep { $_ } values %$gone), 2, 'delete_multi';
ok $c->delete('a'), 'delete';
ok !$c->delete('a'), 'delete, absent';
my $big = 'x' x 1_000_000;
ok $c->set('big', $big), '1 MB';
is $c->get('big'), $big, 'comes back';
ok !$c->set('big', 'x' x 2_000_000), 'too large';
$c->set("q$_", 'x' x $_) for 1 .. 500;
is $c->get('q500'), 'x' x 500, 'without waiting for answers';
$c->nowait_push;
my $versions = $c->server_versions;
like +(values %$versions)[0], qr/\A1\.6\./, 'server_versions';
ok $c->set('soon', 'x', -1), 'a time in the past';
is $c->get('soon'), undef, 'is gone';
$c->disconnect_all;
is $c->get('b'), '<TWO!', 'dials again';
done_testing;
