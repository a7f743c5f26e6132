#!/usr/bin/perl
# watch sysevents: crawls and pages that move.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached('-t', 1, '-m', 32);
my $w  = $mc->client;
my $c  = $mc->client;
is $w->ask('watch sysevents'), 'OK';
$c->send(join '', map({ "set k$_ 0 0 700 noreply\r\n" . 'x' x 700 . "\r\n" }
    1 .. 4000), map({ "set e$_ 0 -1 5000 noreply\r\n" . 'x' x 5000 . "\r\n" }
    1 .. 100));
is $c->ask('mn'), 'MN';
my %rows   = map { @$_ } $mc->stats('items');
my %number = map { /\Aitems:(\d+):number\z/ ? ($1 => $rows{$_}) : () } keys %rows;
my ($small, $large) = sort { $a <=> $b } keys %number;
is "$number{$small} $number{$large}", '4000 100', 'two classes';

is $c->ask('lru_crawler crawl all'), 'OK';
for my $want ([$small, 4000, 0], [$large, 100, 100]) {
    my ($class, $examined, $reclaimed) = @$want;
    like $w->line(10) // '(none)',
        qr/\A ts=\S+ [ ] gid=\d+ [ ] type=lru_crawler [ ] crawler=$class
        [ ] lru=cold [ ] low_mark=\d+ [ ] next_reclaims=\d+ [ ] since_run=\d+
        [ ] next_run=\d+ [ ] elapsed=\d+ [ ] examined=$examined
        [ ] reclaimed=$reclaimed\n\z/x, "class $class";
}
is $c->ask("slabs reassign $small $large"), 'OK';
like $w->line(10) // '(none)',
    qr/\Ats=\S+ gid=\d+ type=slab_move src=$small dst=$large state=ok\n\z/,
    'a page that moves';
done_testing;
