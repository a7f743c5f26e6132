#!/usr/bin/perl
# 500 keys are changed on both sides at once, by every protocol; and each protocol
# by itself against each other. Nothing is left that differs.

use strict;
use warnings;

use FindBin;
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Changes;
use Memcached;
use Pair;

plan skip_all => "built without replication" if !has_replication();

my @mc   = start_pair();
my @c    = map { $_->client } @mc;
my @keys = map { "key$_" } 1 .. 500;

# One store of a key, its value telling the side.
my %store = (
    text   => sub { "set $_[0] $_[1] 1000 5\r\nside$_[1]\r\n" },
    meta   => sub { "ms $_[0] 5 T2000 F$_[1] E" . (2 - $_[1]) . "\r\nside$_[1]\r\n" },
    base64 => sub { 'ms ' . encode_base64($_[0], '') . " 5 b\r\nside$_[1]\r\n" },
    stale  => sub { "ms $_[0] 1\r\n$_[1]\r\nmd $_[0] I E" . ($_[1] << 63) . "\r\n" },
    empty  => sub { "ms $_[0] 1\r\n$_[1]\r\nmd $_[0] x I F$_[1]\r\n" },
    made   => sub { "md $_[0] q\r\nmg $_[0] N3000 E" . (7 - $_[1]) . "\r\n" },
    sum    => sub { "ma $_[0] N500 J$_[1]\r\nma $_[0] D2 T900 q\r\n" },
    packet => sub {
        packet('setq', key => $_[0], extras => set_extras($_[1], 1000), value => "b$_[1]");
    },
    numbers => sub {
        packet('deleteq', key => $_[0])
            . packet('incrq', key => $_[0], extras => arith_extras(1, $_[1], 500));
    },
);
my @kinds = sort keys %store;
for my $one (@kinds) {
    my @lists = ([], []);
    # Each key by another protocol on the other side.
    for my $i (0 .. $#keys) {
        my $two = $kinds[$i % @kinds];
        push @{$lists[0]}, $store{$one}->($keys[$i], 0);
        push @{$lists[1]}, $store{$two}->($keys[$i], 1);
    }
    is join(' ', make_changes(\@c, @lists)), '', "$one: all are taken";
    agree_ok(\@mc, \@keys, 10, "$one against all");
    is scalar keys %{contents($mc[0], @keys)}, 500, 'and all are there';
}

for my $round (1 .. 3) {
    my @lists = map { [map { draw_change($_) } (@keys) x 5] } @c;
    is join(' ', make_changes(\@c, @lists)), '', "round $round: all are taken";
    agree_ok(\@mc, \@keys, 10, "round $round");
}
cmp_ok scalar keys %{contents($mc[0], @keys)}, '>', 50, 'some are there';
done_testing;
