#!/usr/bin/perl
# Three nodes that name each other by several -x are one cache.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

my @rep = map { free_port() } 0 .. 2;

# One that listens on $rep and dials those ports, by name or address.
sub node
{
    my ($rep, @dials) = @_;
    my @name   = ('127.0.0.1', 'localhost');
    my @option = grep { !/\A\d/ } @dials;
    @dials = grep { /\A\d/ } @dials;
    return spawn_memcached({port => free_port()}, '-v', '-X', $rep, @option,
        map { ('-x', "$name[$_ % 2]:$dials[$_]") } 0 .. $#dials);
}

my @mc = map { my $i = $_; node($rep[$i], @rep[grep { $_ != $i } 0 .. 2]) }
    0 .. 2;
ok((wait_for { $_->try_client } 20), 'one answers') for @mc;
ok((wait_for { linked($_) } 20), 'and is linked with all') for @mc;
my @c = map { $_->client } @mc;

# The key is like that everywhere.
sub all_have
{
    my ($key, $want, $name) = @_;
    my $ok = wait_for {
        !grep { ($_->get($key) // '(none)') ne $want } @c
    }
    10;
    ok $ok, $name;
    return;
}

for my $i (0 .. 2) {
    $c[$i]->set("k$i", "of $i");
    all_have("k$i", "of $i", "a set on $i is seen by all");
    $c[($i + 1) % 3]->set("k$i", "changed");
    all_have("k$i", "changed", 'a change by another, too');
    $c[($i + 2) % 3]->ask("delete k$i");
    all_have("k$i", '(none)', 'and its end');
}
$c[0]->set("n$_", $_) for 1 .. 200;
all_have('n200', '200', 'many');

# One dies, and is complete when it serves again.
$mc[1]->kill_hard;
$c[1] = $c[0];
$c[0]->set('while', 'away');
$c[2]->ask('delete n1');
ok((wait_for { ($c[2]->get('while') // '') eq 'away' } 5), 'two go on');
ok((wait_for { $mc[0]->stats('replication')->{link_status} eq 'dialing' } 5),
    'and say that one is missed');
$mc[1]->restart(nowait => 1);
ok((wait_for { $mc[1]->try_client } 20), 'it answers again');
$c[1] = $mc[1]->client;
is $c[1]->get('while'), 'away', 'with what it missed';
is $c[1]->get('n1'),    undef,  'and without what is gone';
is $c[1]->get('n200'),  '200',  'and with what there was';
ok((wait_for { linked($_) } 10), 'linked again') for @mc;
$c[1]->set('back', 'yes');
all_have('back', 'yes', 'and heard by all');

# A fourth that nobody named.
my $fourth = node(free_port(), @rep);
for my $mc (@mc) {
    ok((wait_for { $mc->stderr =~ /^replication: already connected$/m } 10),
        'it is turned away');
}
ok linked($_), 'the three stay linked' for @mc;
my $refused = $fourth->stderr;
unlike $refused, qr/copying/, 'it was given nothing';

# One command line for all: a node finds itself in the list, and minds not.
my $secret = scratch_file('secret', 'a secret of sixteen bytes at least');
for my $option ('rep_timeout=5', "rep_secret_file=$secret") {
    my ($rep) = free_port();
    my $self = node($rep, $rep, '-o', $option);
    my $c;
    ok((wait_for { $c = $self->try_client } 5), "it serves, $option");
    is $self->stats('replication')->{link_status}, 'listening',
        'and has nobody to wait for';
    is $c->set('a', 'b'), 'STORED';
}
done_testing;
