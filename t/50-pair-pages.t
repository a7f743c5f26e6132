#!/usr/bin/perl
# Pages that change their class, on both nodes, do not disturb replication.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;
plan skip_all => "built without replication" if !has_replication();

my @mc = start_pair();
my @c  = map { $_->client } @mc;
my $v  = 'v' x 1500;

# More than one page in two classes, half of it free again.
for my $n (1 .. 6000) {
    $c[0]->send("set fill$n 0 0 1500 noreply\r\n$v\r\n");
    $c[1]->send("set room$n 0 0 400 noreply\r\n" . 'r' x 400 . "\r\n");
}
is $c[$_]->ask('mn'), 'MN', 'filled' for 0, 1;
ok scalar(wait_for { in_sync(@mc) } 20), 'in sync';
$c[0]->send("delete fill$_ noreply\r\ndelete room$_ noreply\r\n")
    for map { 2 * $_ } 1 .. 3000;
ok scalar(wait_for { in_sync(@mc) } 20), 'in sync';

for my $round (1 .. 20) {
    for my $n (0, 1) {
        my $s = $mc[$n]->stats('slabs');
        my ($src) = grep { $s->{"$_:total_pages"} > 1
                && $s->{"$_:free_chunks"} > 1.2 * $s->{"$_:chunks_per_page"} }
            sort { rand() <=> 0.5 } map { /^(\d+):total_pages$/ } keys %$s;
        $c[$n]->ask('slabs reassign ' . ($src // 0) . ' ' . (1 + int rand 40));
    }
    storm(\@c, 100);
}
ok scalar(wait_for { !grep { $_->stats->{slab_reassign_running} } @mc } 20),
    'all pages are there';
cmp_ok $_->stats->{slabs_moved}, '>', 2, 'pages moved' for @mc;
agree_ok(\@mc, [storm_keys(), map { ("fill$_", "room$_") } 1 .. 6000], 10,
    'after the moves');
is $c[1]->get('fill1'), $v, 'what was not changed is there';
is $c[0]->get('room5999'), 'r' x 400, 'on both';

done_testing;
