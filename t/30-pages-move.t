#!/usr/bin/perl
# slabs reassign: pages change their class under load, both ways and by way of
# the pool, and no item is lost or changed where there is room for all.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached('-m', '100', '-o', 'slab_automove=0');
my $c  = $mc->client;
my %is; # what is stored: key => seed of its value
my %length = (s => 900, m => 9000, l => 700_000); # l is in pieces
my %count  = (s => 9000, m => 900, l => 12);

sub value { my ($key, $seed) = @_; my $n = $length{substr $key, 0, 1};
    return substr "$key $seed " x (1 + $n / (2 + length "$key$seed")), 0, $n }

sub store
{
    my ($key, $seed) = @_;
    $is{$key} = $seed;
    return sprintf "set %s %d 0 %d noreply\r\n%s\r\n", $key, $seed % 3,
        $length{substr $key, 0, 1}, value($key, $seed);
}

# Reads these, and returns those that are not as they should be.
sub wrong
{
    my @wrong;
    while (my @some = splice @_, 0, 100) {
        $c->send(join '', map { "get $_\r\n" } @some);
        for my $key (@some) {
            my $got = $c->line // die 'no answer';
            $got .= $c->read($1 + 7) if $got =~ / (\d+)\r$/;
            my $want = exists $is{$key}
                ? sprintf "VALUE %s %d %d\r\n%s\r\nEND\r\n", $key,
                $is{$key} % 3, $length{substr $key, 0, 1}, value($key, $is{$key})
                : "END\r\n";
            push @wrong, $key if $got ne $want;
        }
    }
    return @wrong;
}

# Classes with a page to spare once the last is moved, or none: the pool then.
sub spare
{
    wait_for { !$mc->stats->{slab_reassign_running} } 20;
    my $s = $mc->stats('slabs');
    my @c = grep {
        $s->{"$_:total_pages"} > 1
            && $s->{"$_:free_chunks"} > 1.2 * $s->{"$_:chunks_per_page"}
    } map { /^(\d+):total_pages$/ } keys %$s;
    my ($pool) = grep { $_ } $mc->stats->{slab_global_page_pool};
    return @c, $pool ? (0) : ();
}

my @keys = map { my $k = $_; map { "$k$_" } 1 .. $count{$k} } sort keys %count;
$c->send(store($_, 0)) for @keys;
# A third of each goes: there is room for what has to move.
for my $key (grep { rand() < 0.4 } @keys) {
    $c->send("delete $key noreply\r\n");
    delete $is{$key};
}
is scalar(wrong(@keys)), 0, 'all is stored';

my %all = map { $_ => 1 } map { /^(\d+):/ } keys %{$mc->stats('slabs')};
my ($bad, %reply) = (0);
for my $round (1 .. 60) {
    my ($from, $to) = ([spare()], [0, keys %all]);
    my @move = map { $_->[rand @$_] // 0 } $from, $to;
    my $said = $c->ask("slabs reassign @move");
    $reply{$said}++;
    # Meanwhile: changes, and everything read.
    my @touched = map { $keys[rand @keys] } 1 .. 40;
    $c->send(join '', map { store($_, $round) } @touched);
    $bad += wrong(@touched, map { $keys[rand @keys] } 1 .. 100);
}
is $bad, 0, 'what is read while pages move is right';
ok !(grep { !/^(OK|BUSY|SAME|NOSPARE)/ } keys %reply), 'answers: ' . join ', ',
    map { /^(\w+)/ ? "$1 $reply{$_}" : $_ } sort keys %reply;

my $still = wait_for { !$mc->stats->{slab_reassign_running} } 20;
ok $still, 'the last page is there';
is scalar(wrong(@keys)), 0, 'in the end everything is right';
my $s = $mc->stats;
cmp_ok $s->{slabs_moved}, '>', 5, "$s->{slabs_moved} pages moved";
cmp_ok $s->{slab_reassign_rescues}, '>', 100, "$s->{slab_reassign_rescues} items moved";
is $s->{evictions}, 0, 'nothing was evicted';
is $s->{curr_items}, scalar(keys %is), 'as many items as there should be';

$c->says("flush_all\r\n", "OK\r\n");
%is = ();
is scalar(wrong(@keys)), 0, 'and all can go';
done_testing;
