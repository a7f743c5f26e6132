#!/usr/bin/perl
# An expiry that changes goes to the peer without the value; and a cas id is
# worth the same on both nodes.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;
plan skip_all => "built without replication" if !has_replication();

my @mc    = start_pair();
my @c     = map { $_->client } @mc;
my $value = 'v' x 100_000;

# Seconds until the large item ends, 0 or less: never; undef: it is not there.
sub ttl
{
    my ($mc, $key) = @_;
    my $c = $mc->client;
    my ($class) = map { $_->[0] =~ /\Aitems:(\d+):number/ ? $1 : () }
        reverse $mc->stats('items');
    $c->send('stats cachedump ' . ($class // 1) . " 0\r\n");
    return $c->read_ending("END\r\n") =~ /^ITEM $key \[\d+ b; (\d+) s\]/m
        ? $1 - time
        : undef;
}

# All say soon that the key ends in about so many seconds.
sub ttl_ok
{
    my ($key, $want, $name) = @_;
    my @has;
    my $ok = wait_for {
        @has = map { ttl($_, $key) // 'gone' } @mc;
        !grep { $_ eq 'gone' || ($want ? abs($_ - $want) > 5 : $_ > 0) } @has
    }
    5;
    ok $ok, $name or diag "$want wanted, they have @has";
    return;
}

sub sent { return (rows('bytes_sent', @mc))[$_[0]] }

sub settled { return wait_for { in_sync(@mc) } 10 }

# A request that changes the expiry to this.
sub change
{
    my ($c, $verb, $key, $expiry) = @_;
    return $c->ask("touch $key $expiry") eq 'TOUCHED' if $verb eq 'touch';
    $c->send("$verb $expiry $key\r\n");
    return $c->read_ending("END\r\n") =~ /\AVALUE $key 3 100000/;
}

for my $from (0, 1) {
    for my $verb (qw(touch gat gats)) {
        my $key = "$verb$from";
        is $c[$from]->set($key, $value, 3, 1000), 'STORED';
        have_ok(\@c, $key, $value);
        # A shorter one is a new version, which is sent whole.
        for my $row ([2000], [5000], [0], [100, 'shorter'], [300], [50, 'shorter'], [0]) {
            my ($expiry, $is_shorter) = @$row;
            ok settled(), 'in sync';
            my $before = sent($from);
            ok change($c[$from], $verb, $key, $expiry), "$verb $expiry on $from";
            ttl_ok($key, $expiry, 'is the expiry of both');
            settled();
            my $bytes = sent($from) - $before;
            cmp_ok $bytes, '<', $is_shorter ? 102_000 : 2_000, "$bytes bytes were sent";
        }
        is_deeply [($c[1 - $from]->gets($key))[0, 1]], [$value, 3], 'value unchanged';
        ok change($c[$from], $verb, $key, -1), 'into the past';
        have_ok(\@c, $key, undef, 'gone');
    }
}

# gets on one, cas on the other, when the first has died.
is $c[0]->set("fresh$_", 'old', $_), 'STORED' for 1 .. 3;
$c[0]->ask('touch fresh2 500');
$c[0]->ask('touch fresh3 0');
my @cas = map { ($c[0]->gets("fresh$_"))[2] } 1 .. 3;
is $c[0]->set('stale', 'old'), 'STORED';
my $stale = ($c[0]->gets('stale'))[2];
have_ok(\@c, 'stale', 'old', 'not within a millisecond of the next');
is $c[1]->set('stale', 'new'), 'STORED';
have_ok(\@c, 'stale', 'new');
settled();
$mc[0]->kill_hard;
for my $n (1 .. 3) {
    $c[1]->says("cas fresh$n 0 0 3 $cas[$n - 1]\r\nnew\r\n", "STORED\r\n");
    $c[1]->says("cas fresh$n 0 0 3 $cas[$n - 1]\r\nnot\r\n", "EXISTS\r\n");
}
$c[1]->says("cas stale 0 0 3 $stale\r\nnot\r\n", "EXISTS\r\n");
is $c[1]->get('stale'), 'new', 'a stale one changes nothing';
done_testing;
