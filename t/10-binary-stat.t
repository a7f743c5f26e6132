#!/usr/bin/perl
# The binary protocol: stat, and what its requests count.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Memcached;

my $mc = start_memcached('-o', 'track_sizes');
my $b  = Binary->new($mc->client);
my $x  = set_extras(0, 0);

# The rows of a group; undef where there is none.
sub group
{
    my ($name) = @_;
    my @replies = $b->replies(packet('stat', key => $name, opaque => 3));
    my $last = pop @replies;
    return undef if $last->{code} == 1;
    fail "no end of $name" if grep { length $last->{$_} } qw(key value);
    fail "opaque of $name" if grep { $_->{opaque} != 3 } @replies, $last;
    return [map { $_->{key} } @replies];
}

# --- groups --------------------------------------------------------------------

$b->ask(packet('setq', key => 'a:b', extras => $x, value => 'abc'));
for my $name ('', qw(settings items slabs sizes)) {
    my @rows = map { $_->[0] } $mc->stats($name ne '' ? $name : undef);
    is_deeply group($name), \@rows, "the rows of '$name', as in text";
}
is_deeply group('settings and more'), [map { $_->[0] } $mc->stats('settings')],
    'settings, with more behind it';
is group($_), undef, "no '$_'"
    for qw(conns itemsx extstore nonsense detail), 'cachedump 1 1', 'detail x',
    'detail  dump';
is scalar @{group($_)}, 0, $_ for 'detail on', 'detail off', 'detail on';
$b->ask(packet('get', key => 'a:b'));
is $b->ask(packet('stat', key => 'detail dump')),
    'stat 0000 key detailed "PREFIX a get 1 hit 1 set 0 del 0\r\nEND\r\n", '
    . 'stat 0000', 'detail dump';
is_deeply group('reset and more'), [], 'reset';

# --- counters --------------------------------------------------------------------

my $t    = touch_extras(100);
my $none = 0xffffffff;
my $cas  = ($b->replies(packet('set', key => 'k', extras => $x)))[0]{cas};
my @counted = (
    [[['get', key => 'k']], qw(cmd_get get_hits)],
    [[['getq', key => 'x']], qw(cmd_get get_misses)],
    [[['touch', key => 'k', extras => $t]], qw(cmd_touch touch_hits)],
    [[['gatk', key => 'k', extras => $t]],  qw(cmd_touch touch_hits)],
    [[['gatq', key => 'x', extras => $t]],  qw(cmd_touch touch_misses)],
    [[['set', key => 'k', extras => $x, cas => 1]],  qw(cmd_set cas_badval)],
    [[['add', key => 'x', extras => $x, cas => 1]],  qw(cmd_set cas_misses)],
    [[['set', key => 'k', extras => $x, cas => $cas]], qw(cmd_set cas_hits)],
    [[['add', key => 'k', extras => $x]],   qw(cmd_set)],
    [[['appendq', key => 'x']],             qw(cmd_set)],
    [[['set', key => 'x', extras => $x, value => 'v' x 2**20]]],
    [[['delete', key => 'x']],              qw(delete_misses)],
    [[['delete', key => 'k']],              qw(delete_hits)],
    [[['incr', key => 'n', extras => arith_extras(1, 1, $none)]],
        qw(incr_misses)],
    [[['decr', key => 'n', extras => arith_extras(1, 1, $none)]],
        qw(decr_misses)],
    [[['incr', key => 'n', extras => arith_extras(1, 1, 0)]]],
    [[['incr', key => 'n', extras => arith_extras(1, 1, 0)]], qw(incr_hits)],
    [[['decr', key => 'n', extras => arith_extras(1, 1, 0)]], qw(decr_hits)],
    [[['flush']],                           qw(cmd_flush)],
);
my @names = grep { /^cmd_|_hits$|_misses$|_badval$|^store_/ } @{group('')};
for my $row (@counted) {
    my ($requests, @want) = @$row;
    my $before = $mc->stats;
    $b->ask(map { packet(@$_) } @$requests);
    my $after = $mc->stats;
    my @rose  = grep { $after->{$_} > $before->{$_} } @names;
    is "@{[sort @rose]}", "@{[sort @want]}", "$requests->[0][0]: @want";
}
my $shut = start_memcached('-F', '--disable-dumping');
my $f    = Binary->new($shut->client);
is $f->ask(packet('flush'), packet('flushq')),
    'flush 0020 "Auth failure.", flushq 0020 "Auth failure."', '-F';
is $shut->stats->{cmd_flush}, 0, 'which does not count';
is $f->ask(packet('stat', key => 'detail on')), 'stat 0001 "Not found"',
    '--disable-dumping';
done_testing;
