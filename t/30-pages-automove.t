#!/usr/bin/perl
# Automove relieves a class that evicts, from one that has more than it needs;
# a lowered memory limit is kept to, and the memory goes back to the system.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

sub fill
{
    my ($c, $key, $n, $size) = @_;
    my $v = 'x' x $size;
    $c->send("set $key$_ 0 0 $size noreply\r\n$v\r\n") for 1 .. $n;
    return $c->ask('mn');
}

sub resident
{
    my ($mc) = @_;
    open my $fh, '<', "/proc/$mc->{pid}/status" or die "status: $!";
    return (map { /^VmRSS:\s+(\d+)/ ? $1 : () } <$fh>)[0] * 1024;
}

# --- a class with free pages gives them, and another takes them ---------------

my $mc = start_memcached('-m', 16, '-o', 'slab_automove_window=3');
my $c  = $mc->client;
fill($c, 'a', 17_000, 900);
my $is = $mc->stats;
cmp_ok $is->{evictions}, '>', 0, 'one class has all memory';
$c->send("delete a$_ noreply\r\n") for 1 .. 17_000;
is fill($c, 'b', 10, 5000), 'MN', 'another class has a page';
my $given = wait_for { $mc->stats->{slab_global_page_pool} > 4 } 20;
ok $given, 'what is free goes to the pool';
my $before = $mc->stats->{evictions};
fill($c, 'b', 1500, 5000);
$is = $mc->stats;
is $is->{evictions}, $before, 'and the other class takes it without evicting';
cmp_ok $is->{slabs_moved}, '>', 4, "$is->{slabs_moved} pages moved";

is $c->ask('slabs automove 0'), 'OK', 'switched off';
$c->send("delete b$_ noreply\r\n") for 1 .. 1500;
is $c->ask('slabs automove 2'), 'OK', 'the eager one';
fill($c, 'c', 4000, 2000);
my $eager = wait_for { fill($c, 'c', 1500, 2000);
    $mc->stats->{slabs_moved} > $is->{slabs_moved} } 20;
ok $eager, 'moves a page for a class that evicts';

# --- the limit ----------------------------------------------------------------

$mc = start_memcached('-m', 80);
$c  = $mc->client;
fill($c, 'a', 60_000, 1000);
my $used = resident($mc);
cmp_ok $used, '>', 60e6, 'memory is in use';
is $c->ask('cache_memlimit 16'), 'OK', 'the limit is lowered';
my $kept = wait_for { my $s = $mc->stats; !$s->{slab_reassign_running}
    && $mc->stats('slabs')->{total_malloced} <= 16 * 2**20 } 25;
ok $kept, 'what is above it goes';
# Not down to a figure: sanitizers have memory of their own.
cmp_ok $used - resident($mc), '>', 30e6, 'back to the system';
$is = $mc->stats;
my $there = grep { defined $c->get("a$_") } map { 60_000 - $_ } 0 .. 99;
cmp_ok $there, '>', 0, 'some of the items are still there';
is $c->ask('cache_memlimit 80'), 'OK', 'the limit is raised';
fill($c, 'd', 45_000, 1000);
is $mc->stats->{evictions}, $is->{evictions}, 'and the memory is there again';
is $c->get('d1'), 'x' x 1000, 'as good as new';

done_testing;
