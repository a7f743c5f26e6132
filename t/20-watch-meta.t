#!/usr/bin/perl
# watch: the lines of the meta commands, in every stream.

use strict;
use warnings;
use FindBin;
use Test::More;
use lib "$FindBin::Bin/lib";
use Memcached;

my $mc   = start_memcached('-t', 1);
my $w    = $mc->client;
my $c    = $mc->client;
my $large = 'x' x 1_500_000;
is $w->ask('watch fetchers mutations deletions'), 'OK';

# Request, first line of the answer, then the lines told. get and store are
# short for item_get and item_store; NONE, HERE the fields of an item.
my @cases = (
    ['mg a', 'EN', 'get a not_found NONE'],
    ['mg a N30 v', 'VA 0 W', 'get a not_found NONE'],
    ['mg a T10 t', 'HD t10 Z', 'get a found HERE 0'],
    ["ms a 3 T60\r\nabc", 'HD', 'get a found HERE 0',
        'store a stored set 60 HERE 3'],
    ["ms a 1 ME\r\nx", 'NS', 'get a found HERE 3',
        'store a not_stored add 0 HERE 1'],
    ["ms b 1 ME q\r\nx\r\nmn", 'MN', 'get b not_found NONE',
        'store b stored add 0 HERE 1'],
    ["ms b 2 MR\r\nxy", 'HD', 'get b found HERE 1',
        'store b stored replace 0 HERE 2'],
    ["ms c 2 MR\r\nxy", 'NS', 'get c not_found NONE',
        'store c not_stored replace 0 HERE 2'],
    ["ms a 2 MA\r\nde", 'HD', 'get a found HERE 3',
        'store a stored append 60 HERE 5'],
    ["ms a 1 MP\r\n-", 'HD', 'get a found HERE 5',
        'store a stored prepend 60 HERE 6'],
    ["ms c 1 MA\r\nx", 'NS', 'get c not_found NONE',
        'store c not_stored append 0 HERE 1'],
    ["ms c 1 MP N40\r\nx", 'HD', 'get c not_found NONE',
        'store c stored prepend 40 HERE 1'],
    ["ms a 1 C1\r\nx", 'EX', 'get a found HERE 6',
        'store a exists cas 0 HERE 1'],
    ["ms a 1 MR C1\r\nx", 'EX', 'get a found HERE 6',
        'store a exists cas 0 HERE 1'],
    ["ms a 1 MA C1\r\nx", 'EX', 'get a found HERE 6',
        'store a exists append 0 HERE 1'],
    ["ms none 1 C1\r\nx", 'NF', 'get none not_found NONE',
        'store none not_found cas 0 HERE 1'],
    ["ms a 1 C1 I\r\nx", 'HD', 'get a found HERE 6',
        'store a stored cas 60 HERE 1'],
    ["ms L 1500000 T9\r\n$large", 'SERVER_ERROR object too large for cache',
        'store L too_large set 9 0 1500000'],
    ["ms L 1500000 MA\r\n$large", 'SERVER_ERROR object too large for cache',
        'store L too_large append 0 0 1500000'],
    ["ms L 600000\r\n" . substr($large, 0, 600_000), 'HD',
        'get L not_found NONE', 'store L stored set 0 HERE 600000'],
    ["ms Zm9v 1 b\r\nx", 'HD', 'get foo not_found NONE',
        'store foo stored set 0 HERE 1'],
    ['ma n', 'NF', 'get n not_found NONE'],
    ['ma n N90 J13', 'HD', 'get n not_found NONE', 'get n not_found NONE',
        'store n stored add 90 HERE 2'],
    ['ma n N90 J13 q', undef, 'get n found HERE 2'],
    ['ma n D1000', 'HD', 'get n found HERE 2'],
    ['ma a', 'CLIENT_ERROR cannot increment or decrement non-numeric value',
        'get a found HERE 1'],
    ['me a x', 'ME a exp=.*', 'get a found HERE 1'],
    ['md a C1', 'EX', 'get a found HERE 1'],
    ['md a I', 'HD', 'get a found HERE 1'],
    ['md b x', 'HD', 'get b found HERE 2'],
    ['md a q', undef, 'get a found HERE 1', 'deleted a md HERE 1'],
    ['md a', 'NF', 'get a not_found NONE'],
    ["set e 0 -1 1\r\nx", 'STORED', 'get e not_found NONE',
        'store e stored set 4294967\d{3} HERE 1'],
    ['mg e N0', 'HD W', 'get e expired NONE'],
);

sub pattern
{
    my ($what, $key, @f) = split ' ', $_[0] =~ s/NONE/0 0/r;
    $_ = $_ eq 'HERE' ? '[1-9]\d*' : $_ for @f;
    $f[2] =~ s/\A[1-9]\d*\z/"(?:$&|" . ($& - 1) . ')'/e if $what eq 'store';
    return "type=deleted key=$key cmd=$f[0] clsid=$f[1] size=$f[2]"
        if $what eq 'deleted';
    return "type=item_get key=$key status=$f[0] clsid=$f[1] cfd=\\d+ size=$f[2]"
        if $what eq 'get';
    return "type=item_store key=$key status=$f[0] cmd=$f[1] ttl=$f[2] "
        . "clsid=$f[3] cfd=\\d+ size=$f[4]";
}

for my $case (@cases) {
    my ($request, $answer, @lines) = @$case;
    my $name = Client::shown($request, 30);
    $c->send("$request\r\n");
    like $c->line // '(none)', qr/\A$answer\r\n\z/, "$name: answer" if $answer;
    $c->read(2) if $answer && $answer =~ /\AVA/;
    like $w->line(10) // '(none)', qr/\Ats=\S+ gid=\d+ ${\pattern($_)}\n\z/,
        "$name: $_" for @lines;
}
is $mc->stats->{get_expired}, 1, 'get_expired of one that was made anew';
done_testing;
