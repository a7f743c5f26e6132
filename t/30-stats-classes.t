#!/usr/bin/perl
# stats items, slabs, sizes and cachedump tell what is stored.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached('-m', 64, '-o', 'track_sizes');
my $c  = $mc->client;
is $c->set("small$_", 's' x 10), 'STORED' for 1 .. 3;
is $c->set('large', 'l' x 10_000, 0, 1000), 'STORED';
$c->get('small1');

my $items = $mc->stats('items');
my %class = map { /\Aitems:(\d+):number\z/ ? ($1 => $items->{$_}) : () }
    keys %$items;
is_deeply [sort values %class], [1, 3], 'stats items: two classes';
my ($small) = grep { $class{$_} == 3 } keys %class;
my ($large) = grep { $class{$_} == 1 } keys %class;
cmp_ok $large, '>', $small, 'larger items, higher class';
my ($hot, $warm, $cold) =
    map { $items->{"items:$small:number_$_"} } qw(hot warm cold);
is $hot + $warm + $cold, 3, 'hot, warm and cold add up';
cmp_ok $items->{"items:$large:mem_requested"}, '>', 10_000, 'mem_requested';

my $slabs = $mc->stats('slabs');
is $slabs->{"$small:used_chunks"}, 3, 'stats slabs: used_chunks';
is $slabs->{"$small:cmd_set"}, 3, 'cmd_set by class';
is $slabs->{"$small:get_hits"}, 1, 'get_hits by class';
is $slabs->{"$small:total_chunks"},
    $slabs->{"$small:used_chunks"} + $slabs->{"$small:free_chunks"},
    'used and free chunks are all';
cmp_ok $slabs->{"$small:chunk_size"} * $slabs->{"$small:chunks_per_page"},
    '<=', 1 << 20, 'chunks fit into a page';
is $slabs->{active_slabs}, 2, 'active_slabs';
cmp_ok $slabs->{total_malloced}, '>=', 2 << 20, 'total_malloced';

my @sizes = $mc->stats('sizes');
is $sizes[0][1] + $sizes[1][1], 4, 'stats sizes: four items';
is $sizes[0][0] % 32, 0, 'in steps of 32 bytes';
is $c->ask('delete small3'), 'DELETED';
is(($mc->stats('sizes'))[0][1], 2, 'and one less after a delete');

sub dump_class
{
    my ($which, $limit) = @_;
    $c->send("stats cachedump $which $limit\r\n");
    return $c->read_to(qr/\A(?:END|CLIENT_ERROR.*)\r\n/);
}
ok((wait_for { dump_class($small, 0) =~ /^ITEM small1 /m } 5), 'cachedump');
is join(' ', sort { $a cmp $b } dump_class($small, 0) =~ /^ITEM (\S+) \[10 b; 0 s\]/mg),
    'small1 small2', 'its keys, sizes and times';
my ($until) = dump_class($large, 0) =~ /^ITEM large \[10000 b; (\d+) s\]/m;
cmp_ok abs($until - $mc->stats->{time} - 1000), '<=', 2, 'when it expires';
my $count = () = dump_class($small, 1) =~ /^ITEM/mg;
is $count, 1, 'with a limit';
is dump_class(99, 1),  "CLIENT_ERROR Illegal slab id\r\n";
is dump_class('x', 1), "CLIENT_ERROR bad command line format\r\n";
is start_memcached()->stats('sizes')->{sizes_status}, 'disabled',
    'stats sizes without -o track_sizes';
$c->nothing_more;
done_testing;
