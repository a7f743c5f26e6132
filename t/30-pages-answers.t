#!/usr/bin/perl
# slabs reassign: every answer it has, and what it does.

use strict;
use warnings;
use FindBin;
use Test::More;
use lib "$FindBin::Bin/lib";
use Memcached;
my %text = (
    OK       => 'OK',
    BUSY     => 'BUSY currently processing reassign request',
    BADCLASS => 'BADCLASS invalid src or dst class id',
    NOSPARE  => 'NOSPARE source class has no spare pages',
    SAME     => 'SAME src and dst class are identical',
    FORMAT   => 'CLIENT_ERROR bad command line format',
    DISABLED => 'CLIENT_ERROR slab reassignment disabled',
    ERROR    => 'ERROR',
);

my $mc = start_memcached('-t', 1, '-m', 64, '-o', 'no_slab_automove');
my $c  = $mc->client;

sub says
{
    my ($answer, @orders) = @_;
    $c->says("slabs $_\r\n", "$text{$answer}\r\n", "$_: $answer") for @orders;
    return;
}

sub pages
{
    my %rows = map { @$_ } $mc->stats('slabs');
    return $rows{"$_[0]:total_pages"} // 0;
}

sub moved { return wait_for { !$mc->stats->{slab_reassign_running} } 20 }

# The class that stores $n values of so many bytes.
sub fill
{
    my ($name, $size, $n) = @_;
    my $value  = 'x' x $size;
    my %before = map { @$_ } $mc->stats('items');
    $c->send(join '', map { "set $name$_ 0 0 $size noreply\r\n$value\r\n" } 1 .. $n);
    is $c->ask('mn'), 'MN', "$name: $n values";
    my %items = map { @$_ } $mc->stats('items');
    my ($class) = map { /\Aitems:(\d+):number\z/ && !$before{$_} ? $1 : () }
        keys %items;
    return $class;
}

# --- an empty cache -------------------------------------------------------------

says(NOSPARE  => 'reassign 1 2', 'r 1 2', 'reassign 0 1', 'reassign 1 0');
says(SAME     => 'reassign 1 1', 'reassign 0 0', 'reassign -1 -1', 're 99 99');
says(BADCLASS => 'reassign 64 1', 'reassign 1 64', 'reassign -2 1',
    'reassign 1 -1', 'reassign -1 1', 'reassign -1 64', 'reassign 2147483647 1');
says(FORMAT => 'reassign x 1', 'reassign 1 x', 'reassign 1 2147483648', 'reassign 1. 2');
says(ERROR  => 'reassign', 'reassign 1', 'reassign 1 2 3', 'reassignx 1 2');
$c->send("slabs reassign $_ noreply\r\n") for '1 1', '64 1', 'x 1', '1 2';
$c->nothing_more('noreply hides answers');

# --- pages that move ----------------------------------------------------------------

my $large = fill('l', 5000, 1000);    # about five pages
my $small = fill('s', 10,   1);
my ($from, $to) = (pages($large), pages($small));
cmp_ok $from, '>=', 4, 'pages to move';
says(NOSPARE => "reassign $small $large");

# The second comes while the first moves, but for the rarest of accidents.
my $busy = wait_for {
    $c->send("slabs reassign $large $small\r\nslabs reassign $large $small\r\n");
    my @got = map { $c->line =~ s/\r\n//r } 1, 2;
    moved();
    $got[0] eq $text{OK} && $got[1] eq $text{BUSY};
} 10;
ok $busy, 'two at once: OK, then BUSY';
cmp_ok pages($small), '>=', 2, 'a page came';
is $mc->stats->{slabs_moved}, pages($small) - $to, 'slabs_moved';

my $pool = $mc->stats->{slab_global_page_pool};
says(OK => "reassign $large 0");
ok moved(), 'into the pool';
is $mc->stats->{slab_global_page_pool}, $pool + 1, 'which has one more';
says(OK => "reassign 0 $small");
ok moved(), 'and out of it';
$from = pages($large) + pages($small);
says(OK => 'reassign -1 60');
ok moved(), 'from whoever has two';
is pages($large) + pages($small), $from - 1, 'one of them gave it';

# --- not at all -----------------------------------------------------------------------

$mc = start_memcached('-o', 'no_slab_reassign');
$c  = $mc->client;
says(DISABLED => 'reassign 1 2', 'reassign 1 1', 'reassign x 1', 'reassign 64 1');
says(ERROR    => 'reassign 1');
done_testing;
