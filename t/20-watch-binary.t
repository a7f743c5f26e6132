#!/usr/bin/perl
# watch: the lines of the binary protocol, and streams that nothing is told in.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Memcached;

my $mc = start_memcached('-t', 1);
my $w  = $mc->client;
is $w->ask('watch fetchers mutations deletions'), 'OK';
my $b     = Binary->new($mc->client);
my $large = 'x' x 1_500_000;
my $part  = substr $large, 0, 600_000;
my $miss  = 'get %s not_found 0 0';

# Request, its options, the lines told.
my @cases = (
    ['set', {key => 'a', value => 'abc', extras => set_extras(1, 60)},
        'get a not_found 0 0', 'store a stored set 60 C 3'],
    ['add', {key => 'a', value => 'x', extras => set_extras()},
        'get a found C 3', 'store a not_stored add 0 C 1'],
    ['addq', {key => 'b', value => 'x', extras => set_extras()},
        'get b not_found 0 0', 'store b stored add 0 C 1'],
    ['replace', {key => 'b', value => 'xy', extras => set_extras()},
        'get b found C 1', 'store b stored replace 0 C 2'],
    ['replace', {key => 'c', value => 'xy', extras => set_extras()},
        'get c not_found 0 0', 'store c not_stored replace 0 C 2'],
    ['append', {key => 'a', value => 'de'},
        'get a found C 3', 'store a stored append 60 C 5'],
    ['prepend', {key => 'a', value => '-'},
        'get a found C 5', 'store a stored prepend 60 C 6'],
    ['append', {key => 'c', value => 'de'},
        'get c not_found 0 0', 'store c not_stored append 0 C 2'],
    ['append', {key => 'a', value => 'de', cas => 1},
        'get a found C 6', 'store a exists append 0 C 2'],
    ['set', {key => 'a', value => 'x', extras => set_extras(), cas => 1},
        'get a found C 6', 'store a exists cas 0 C 1'],
    ['replace', {key => 'c', value => 'x', extras => set_extras(), cas => 1},
        'get c not_found 0 0', 'store c not_found cas 0 C 1'],
    ['set', {key => 'L', value => $large, extras => set_extras(0, 9)},
        'store L too_large set 9 0 1500000'],
    ['set', {key => 'L', value => $part, extras => set_extras()},
        'get L not_found 0 0', 'store L stored set 0 C 600000'],
    ['get', {key => 'a'}, 'get a found C 6'],
    ['getq', {key => 'c'}, 'get c not_found 0 0'],
    ['touch', {key => 'a', extras => touch_extras(9)}, 'get a found C 6'],
    ['gat', {key => 'c', extras => touch_extras(9)}, 'get c not_found 0 0'],
    ['incr', {key => 'n', extras => arith_extras(1, 5, 0xffffffff)},
        'get n not_found 0 0'],
    ['incr', {key => 'n', extras => arith_extras(1, 25, 90)},
        'get n not_found 0 0', 'get n not_found 0 0',
        'store n stored add 90 C 2'],
    ['decrq', {key => 'n', extras => arith_extras(1, 25, 0)}, 'get n found C 2'],
    ['delete', {key => 'a', cas => 1}, 'get a found C 6'],
    ['delete', {key => 'a'}, 'get a found C 6'],
    ['delete', {key => 'a'}, 'get a not_found 0 0'],
);

sub pattern
{
    my ($what, $key, @f) = split ' ', $_[0] =~ s/ C / [1-9]\\d* /r;
    # A second may end between a store and the line that tells of it.
    $f[2] =~ s/\A[1-9]\d*\z/"(?:$&|" . ($& - 1) . ')'/e if $what eq 'store';
    return "type=item_get key=$key status=$f[0] clsid=$f[1] cfd=\\d+ size=$f[2]"
        if $what eq 'get';
    return "type=item_store key=$key status=$f[0] cmd=$f[1] ttl=$f[2] "
        . "clsid=$f[3] cfd=\\d+ size=$f[4]";
}

for my $case (@cases) {
    my ($verb, $opt, @lines) = @$case;
    $b->replies(packet($verb, %$opt));
    like $w->line(10) // '(none)', qr/\Ats=\S+ gid=\d+ ${\pattern($_)}\n\z/,
        "$verb: $_" for @lines;
}

# These are taken, and say nothing whatever happens.
my @quiet = map { my $q = $mc->client; [$_, $q, $q->ask("watch $_")] }
    qw(rawcmds proxyreqs proxyevents proxyuser sysevents p r);
is $_->[2], 'OK', "watch $_->[0]" for @quiet;
$b->replies(packet('set', key => 'q', extras => set_extras(), value => 1),
    packet('get', key => 'q'), packet('delete', key => 'q'));
like $w->line(10), qr{key=q }, "others are told";
is $_->[1]->read(1, 0.01), q(), "$_->[0] is not" for @quiet;
is $mc->client->ask('watch fetchers proxy?'), 'ERROR', 'an unknown stream';
done_testing;
