#!/usr/bin/perl
# What a copy puts on the wire is counted to the byte, of the smallest, too; the
# changes beside it are not.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;
use Relay;

plan skip_all => "built without replication" if !has_replication();

# Of the protocol: messages without key and value.
my ($ITEM, $POINT) = (24, 17);

my $rep = free_port();
my $one = start_memcached({port => free_port()}, '-X', $rep, '-o', 'rep_log=4k');
my $c   = $one->client;
$c->set('key', 'x' x 1_000);

my $relay = Relay->new(to => $rep);
my $two   = start_memcached({port => free_port()}, '-x', '127.0.0.1:' . $relay->port);
my @mc    = ($one, $two);

# Of both copies, of everything and of a part: items and bytes.
sub copies_are
{
    my ($mc, $want, $name) = @_;
    my @rows = map { ("${_}_items", "${_}_bytes") } 'full_copy', 'partial_copy';
    is_deeply [map { rows($_, $mc) } @rows], $want, $name;
    return;
}

ok((wait_for { in_sync(@mc) } 10), 'linked');
my @full = (1, $ITEM + 3 + 1_000 + $POINT);
copies_are($one, [@full, 0, 0], 'of one item');
copies_are($two, [0, $POINT, 0, 0], 'of nothing');

$c->set("live$_", 'value') for 1 .. 50;
ok((wait_for { in_sync(@mc) } 10), 'live changes');
copies_are($one, [@full, 0, 0], 'are none of it');

# A second link: all is in the log; then the log has lost something.
$relay->reset;
$c->set('key', 'new');
ok((wait_for { $relay->links_made > 1 && in_sync(@mc) } 10), 'linked again');
copies_are($one, [@full, 0, 0], 'the log reached back: no copy');

$relay->cut;
ok((wait_for { !all_linked($one) } 10), 'cut');
requests([$c], [map { "set later$_ 0 0 5\r\nvalue\r\n" } 1 .. 1_000]);
$relay->heal;
ok((wait_for { in_sync(@mc) } 10), 'healed');
my ($items, $bytes) = map { rows("partial_copy_$_", $one) } 'items', 'bytes';
cmp_ok $items, '>=', 900, 'a copy of what the log lost';
cmp_ok $bytes, '>=', $items * ($ITEM + 6 + 5), 'with its bytes';
cmp_ok $bytes, '<=', $items * ($ITEM + 9 + 5) + 100 * $POINT, 'and no more';
copies_are($one, [@full, $items, $bytes], 'and no full one');
done_testing;
