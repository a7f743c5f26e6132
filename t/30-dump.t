#!/usr/bin/perl
# lru_crawler metadump and mgdump: lines, words, refusals.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached();
my $c  = $mc->client;

is $c->set('a', 'abc', 5), 'STORED';
is $c->set('b', 'x',   0, 1000), 'STORED';
is $c->set("%\x01/~", 'x'), 'STORED';
is $c->set('large', 'x' x 700_000), 'STORED';
is $c->set('over', 'x'), 'STORED';
is $c->set('dead', 'x', 0, -1), 'STORED';
is $c->get('a'), 'abc';
is $c->ask("ms YWEAYWI= 2 b\r\nhi"), 'HD', 'a key in base64';
my ($cas) = $c->ask('gets a') =~ /(\d+)\z/;
$c->read_to(qr/\AEND/);

sub dump_of
{
    my ($what) = @_;
    $c->send("lru_crawler $what\r\n");
    return $c->read_to(qr/\A(?:END?|[A-Z]+ .*)\r\n/);
}

my $text = dump_of('metadump all');
ok $text =~ s/\AOK\r\n//, 'it begins with OK';
ok $text =~ s/^END\r\n\z//m, 'and ends with END';
my %line = map { /\Akey=(\S+) / ? ($1 => $_) : (x => $_) } split /^/, $text;
is_deeply [sort keys %line],
    [sort qw(a b %25%01%2F~ large over), 'aa%00ab'], 'all that live';
like $line{a}, qr/\Akey=a\ exp=-1\ la=\d{10}\ cas=$cas\ fetch=yes\ cls=\d+
    \ size=\d+\ flags=5\ \n\z/x, 'a line';
my ($exp) = $line{b} =~ /\Akey=b exp=(\d+) la=\d+ cas=\d+ fetch=no /;
cmp_ok abs($exp - time - 1000), '<', 5, 'an expiry';

# By index, by class, by what class each is of.
is join('', sort split /^/, dump_of('metadump hash')),
    join('', sort split /^/, "OK\r\n${text}END\r\n"), 'hash';
my %class;
for my $l (values %line) {
    push @{$class{$1}}, $l if $l =~ / cls=(\d+) /;
}
cmp_ok keys %class, '>', 1, 'there are several classes';
for my $id (sort keys %class) {
    is join('', sort split /^/, dump_of("lru_crawler metadump $id" =~ s/\S+ //r)),
        join('', sort @{$class{$id}}, "OK\r\n", "END\r\n"), "class $id";
}
is join('', sort split /^/, dump_of('m ' . join ',', keys %class)),
    join('', sort split /^/, "OK\r\n${text}END\r\n"), 'all classes';

is join('', sort split /^/, dump_of('mgdump all')),
    join('', sort("OK\r\n", "EN\r\n", "mg a\r\n", "mg b\r\n",
    "mg %\x01/~\r\n", "mg large\r\n", "mg over\r\n", "mg YWEAYWI= b\r\n")),
    'mgdump';

my %refused = (
    'metadump 64' => 'BADCLASS invalid class id', 'mgdump 0' =>
        'BADCLASS invalid class id', 'metadump x' =>
        'BADCLASS invalid class id', 'metadump 1,x' =>
        'BADCLASS invalid class id', 'metadump al' =>
        'BADCLASS invalid class id', metadump => 'ERROR', 'metadump 1 2' =>
        'ERROR', 'metadumps all' => 'ERROR',
);
is $c->ask("lru_crawler $_"), $refused{$_}, $_ for sort keys %refused;
is dump_of('metadump 63'), "OK\r\nEND\r\n", 'a class without items';
for my $what (qw(metadump mgdump)) {
    $c->says("mn\r\nlru_crawler $what all\r\n", "MN\r\nERROR cannot pipeline "
        . "other commands before $what\r\n", "$what behind a reply");
}
$c->says("lru_crawler metadump 63\r\nmn\r\n", "OK\r\nEND\r\nMN\r\n",
    'what follows is answered after it');
is $c->ask('flush_all'), 'OK';
is dump_of('metadump all'), "OK\r\nEND\r\n", 'nothing after a flush';

my $off = start_memcached('--disable-dumping')->client;
is $off->ask('lru_crawler metadump all'), 'ERROR metadump not allowed';
is $off->ask('lru_crawler mgdump all'),   'ERROR key dump not allowed';
done_testing;
