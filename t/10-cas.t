#!/usr/bin/perl
# cas: matches, mismatches, misses, and the counters of it.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached();
my $c  = $mc->client;
my $line = 'CLIENT_ERROR bad command line format';

$c->says("cas a 0 0 1 1\r\nx\r\n", "NOT_FOUND\r\n", 'absent');
is $c->set('a', 'one'), 'STORED';
my $cas = ($c->gets('a'))[2];
like $cas, qr/\A[1-9]\d*\z/, 'a cas id';
ok $cas < 2**63, 'below 2^63';
$c->says("cas a 0 0 3 0\r\ntwo\r\n", "EXISTS\r\n", 'cas 0 never matches');
my $other = $cas + 1;
$c->says("cas a 0 0 3 $other\r\ntwo\r\n", "EXISTS\r\n", 'another cas');
is $c->get('a'), 'one', 'the value stays';
is(($c->gets('a'))[2], $cas, 'so does its cas');
$c->says("cas a 9 0 3 $cas\r\ntwo\r\n", "STORED\r\n", 'the right cas');
my @now = $c->gets('a');
is "@now[0, 1]", 'two 9', 'value and flags changed';
isnt $now[2], $cas, 'cas changed';
$c->says("cas a 0 0 5 $cas\r\nthree\r\n", "EXISTS\r\n", 'the old cas');
$c->says("cas a 0 0 5 $now[2] noreply\r\nthree\r\n", '', 'quietly');
is $c->get('a'), 'three', 'done';

for my $verb (qw(set replace append prepend)) {
    my $old = ($c->gets('a'))[2];
    $c->says("$verb a 0 0 1\r\n1\r\n", "STORED\r\n");
    isnt(($c->gets('a'))[2], $old, "$verb changes the cas");
}
my $old = ($c->gets('a'))[2];
$c->says("add a 0 0 1\r\n1\r\n", "NOT_STORED\r\n");
$c->says("touch a 100\r\n",      "TOUCHED\r\n");
is(($c->gets('a'))[2], $old, 'a failed add and a lengthening touch do not');

for my $unique ('x', '-1', '18446744073709551616', '1x') {
    $c->says("cas a 0 0 1 $unique\r\nv\r\n", "$line\r\n", "unique $unique");
}
$c->says("cas a 0 0 1\r\nv\r\n", "$line\r\n", 'no unique at all');
$mc->client->ends_with("cas a 0 0\r\n", "$line\r\n", 'no length either');
my $s = $mc->stats;
is $s->{cas_misses}, 1, 'cas_misses';
is $s->{cas_hits},   2, 'cas_hits';
is $s->{cas_badval}, 3, 'cas_badval';

my $no = start_memcached('-C');
my $n  = $no->client;
is $n->set('a', 'one'), 'STORED';
$n->says("gets a\r\n", "VALUE a 0 3 0\r\none\r\nEND\r\n", '-C shows 0');
$n->says("cas a 0 0 1 0\r\nx\r\n", "EXISTS\r\n", 'and never matches');
$n->says("cas b 0 0 1 1\r\nx\r\n", "NOT_FOUND\r\n");
is $no->stats('settings')->{cas_enabled}, 'no', 'told by stats settings';
$_->nothing_more for $c, $n;
SKIP: {
    skip "built without replication", 1 if !has_replication();
    my %counter;    # the first one seen of a millisecond
    wait_for {
        $c->set('a', 'x');
        my $version = ($c->gets('a'))[2];
        $counter{$version >> 22} //= $version >> 8 & 0x3fff;
        keys %counter >= 8;
    }
    10;
    ok((grep { $_ > 100 } values %counter), 'versions begin anywhere in their millisecond');
}
done_testing;
