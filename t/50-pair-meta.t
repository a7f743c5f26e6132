#!/usr/bin/perl
# What the meta commands do on one node, the other learns: values, flags, ends,
# cas ids of a client's choice, keys in base64, stale items and who has won.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;
use Turns;

plan skip_all => "built without replication" if !has_replication();

my @mc = start_pair();

# Nothing else looks an item up: that may win.
my @rows = (
    ['set', [ms('set', 'abc', 'T500 F9 E70'), 'HD'],
        ['mg set t f c s v', "VA 3 t500 f9 c70 s3\r\nabc"]],
    ['base64', [ms('Zm9v', 'x', 'b'), 'HD'], ['mg foo k', 'HD kZm9v b']],
    ['a line end', [ms('YQpi', 'x', 'b'), 'HD'], ['mg YQpi b k v', "VA 1 kYQpi b\r\nx"]],
    ['compared', [ms('comp', 'a', 'E5'), 'HD'],
        [ms('comp', 'b', 'C5 E6'), 'HD', ms('comp', 'c', 'C5'), 'EX'],
        ['mg comp c v', "VA 1 c6\r\nb"]],
    ['append', [ms('app', 'a', 'MA N500 F3'), 'HD'],
        ['mg app t f v', "VA 1 t500 f3\r\na", ms('app', 'z', 'MP E4'), 'HD'],
        ['mg app t f c v', "VA 2 t500 f3 c4\r\nza"]],
    ['stale', [ms('stale', 'x', 'T500'), 'HD', 'md stale I T700', 'HD'],
        ['mg stale t v', "VA 1 t700 X W\r\nx"], ['mg stale t', 'HD t700 Z X']],
    ['stale again', [ms('again', 'x'), 'HD', 'md again I', 'HD'],
        ['mg again', 'HD X W', 'md again I E8', 'HD'], ['mg again c', 'HD c8 X W'],
        ['mg again c', 'HD c8 Z X', ms('again', 'y'), 'HD'], ['mg again v', "VA 1\r\ny"]],
    ['older', [ms('older', 'x', 'T500 E50'), 'HD', ms('older', 'y', 'C40 I T9 F4 E51'), 'HD'],
        ['mg older t f v', "VA 1 t500 f4 X W\r\ny"], [ms('older', 'z', 'C40 I'), 'HD'],
        ['mg older v', "VA 1 Z X\r\nz"]],
    ['won', [ms('won', 'x', 'T500 E60'), 'HD', 'mg won R600', 'HD W'],
        ['mg won R600 t c', 'HD t500 c60 Z']],
    ['made', ['mg made N500 E7', 'HD W'],
        ['mg made N500 t c s', 'HD t500 c7 s0 Z', ms('made', 'x'), 'HD'],
        ['mg made v', "VA 1\r\nx"]],
    ['ends', [ms('ends', 'x', 'T500 E9'), 'HD', 'mg ends T900', 'HD', 'mg ends T100', 'HD'],
        ['mg ends t c', 'HD t100 c9', 'mg ends T800', 'HD'], ['mg ends t c', 'HD t800 c9']],
    ['over', [ms('over', 'x', 'T500'), 'HD', 'mg over T-1', 'HD'], ['mg over', 'EN']],
    ['won, ends', [ms('both', 'x', 'T500 E9'), 'HD', 'mg both T50 R60', 'HD W'],
        ['mg both t c', 'HD t50 c9 Z']],
    ['emptied', [ms('empt', 'abc', 'T500 F9 E11'), 'HD', 'md empt x', 'HD'],
        ['mg empt s f t c', 'HD s0 f0 t-1 c11']],
    ['emptied, stale', [ms('empst', 'abc', 'E11'), 'HD', 'md empst x I T90 F2 E12', 'HD'],
        ['mg empst s f t c', 'HD s0 f2 t90 c12 X W'], ['mg empst', 'HD Z X']],
    ['deleted', [ms('del', 'x', 'E3'), 'HD'], ['md del C4', 'EX', 'md del C3', 'HD'],
        ['mg del', 'EN']],
    ['number', ['ma num N500 J41 E21', 'HD'],
        ['mg num t c v', "VA 2 t500 c21\r\n41", 'ma num E22 T90 v', "VA 2\r\n42"],
        ['mg num t c v', "VA 2 t90 c22\r\n42"]],
    ['stale number', [ms('snum', '5'), 'HD', 'md snum I', 'HD', 'ma snum E5', 'HD'],
        ['mg snum c v', "VA 1 c5 X W\r\n6"], ['mg snum', 'HD Z X']],
);

both_ways(\@mc, @rows);
done_testing;
