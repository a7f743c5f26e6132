#!/usr/bin/perl
# flush_all: at once, delayed, replaced by a later one.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached();
my $c  = $mc->client;

sub stored
{
    my ($count) = @_;
    $c->send(join '', map { "set k$_ 0 0 1 noreply\r\nv\r\n" } 1 .. $count);
    my $hits = () = ask_all($count) =~ /^VALUE/mg;
    return $hits == $count;
}

sub ask_all
{
    my ($count) = @_;
    $c->send('get ' . join(' ', map { "k$_" } 1 .. $count) . "\r\n");
    return $c->read_to(qr/\AEND\r\n/);
}

ok stored(1000), '1,000 items';
is $c->ask('flush_all'), 'OK', 'flush_all';
is ask_all(1000), "END\r\n", 'none is left';
is $c->ask("add k1 0 0 1\r\nv"), 'STORED', 'add finds the key free';
is $c->ask("append k2 0 0 1\r\nv"), 'NOT_STORED', 'append finds nothing';
ok stored(10), 'sets in the same second survive';
is $c->get('k5'), 'v';
is $c->ask('flush_all 0'),  'OK';
is ask_all(10), "END\r\n", 'flush_all 0 is now';
ok stored(10);
is $c->ask('flush_all -5'), 'OK';
is ask_all(10), "END\r\n", 'a negative delay is now';

ok stored(10);
is $c->ask('flush_all 3'), 'OK', 'in three seconds';
is $c->get('k1'), 'v', 'nothing happens yet';
is $c->set('later', 'v'), 'STORED';
ok((wait_for { !defined $c->get('k1') } 8), 'then it does');
is ask_all(10), "END\r\n", 'to all of them';
is $c->get('later'), undef, 'and to what was stored meanwhile';
ok((wait_for { $c->set('new', 'v') eq 'STORED' && defined $c->get('new') } 5),
    'what comes after lives');

# One register: a later command replaces an earlier one.
ok stored(10);
is $c->ask('flush_all 2'),   'OK';
is $c->ask('flush_all 1000'), 'OK', 'put off';
my $start = $mc->stats->{time};
ok((wait_for { $mc->stats->{time} >= $start + 4 } 10), 'four seconds later');
is $c->get('k1'), 'v', 'nothing was flushed';
is $c->ask('flush_all'), 'OK';
is ask_all(10), "END\r\n", 'at once, after all';
ok stored(10);
ok((wait_for { $mc->stats->{time} >= $start + 5 } 10));
is $c->get('k1'), 'v', 'and the pending one is forgotten';

my $s = $mc->stats;
is $s->{cmd_flush}, 7, 'cmd_flush';
cmp_ok $s->{get_flushed} + 0, '>=', 0, 'get_flushed';
$c->nothing_more;
done_testing;
