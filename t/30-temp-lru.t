#!/usr/bin/perl
# -o temporary_ttl: what lives a short time is never evicted, only reclaimed.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached('-m', '2', '-o', 'temporary_ttl=100');
my $c  = $mc->client;
my $v  = 'v' x 1000;

sub fill { $c->send(join '', map { "set $_[0]$_ 0 $_[1] 1000 noreply\r\n$v\r\n" } 1 .. $_[2]) }
sub rows { my $is = $mc->stats('items'); return map { my $n = $_;
    (grep { /:\Q$n\E\z/ } keys %$is)[0] ? $is->{(grep { /:\Q$n\E\z/ } keys %$is)[0]} : 0 } @_ }

fill('temp', 100, 100);
fill('much', 0, 5000);
is $c->get('much5000'), $v, 'memory is full';
my ($temp, $evicted) = rows(qw(number_temp evicted));
is $temp, 100, 'all of a short life are still there';
cmp_ok $evicted, '>', 1000, 'others were evicted';
is scalar(grep { defined $c->get("temp$_") } 1 .. 100), 100, 'and can be read';
is +(rows('hits_to_temp'))[0], 100, 'hits are counted';

$c->set('temp1', $v, 0, 1000);
is +(rows('number_temp'))[0], 99, 'one that gets a longer life leaves';
$c->set('much5000', $v, 0, 50);
is +(rows('number_temp'))[0], 100, 'one that gets a shorter life enters';

is $c->ask('lru temp_ttl -1'), 'OK', 'switched off';
fill('late', 100, 5000);
is +(rows('number_temp'))[0] // 0, 0, 'the row is not shown';
is scalar(grep { defined $c->get("temp$_") } 2 .. 100), 99,
    'those there stay until they expire';
is $c->ask('lru temp_ttl 100'), 'OK', 'switched on';
is +(rows('number_temp'))[0], 100, 'they are counted';

done_testing;
