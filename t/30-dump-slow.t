#!/usr/bin/perl
# A dump of many items: all are there once, and a reader that does not read
# holds up nobody.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $items = is_sanitized() ? 50_000 : 300_000;
my $mc    = start_memcached('-t', 1, '-m', 256);
my $c     = $mc->client;
for my $k (0 .. $items / 10_000 - 1) {
    $c->send(join '', map { sprintf "set key-%07d 0 0 3 noreply\r\nabc\r\n",
        $k * 10_000 + $_ } 0 .. 9_999);
}
is $c->ask('mn'), 'MN';
is $mc->stats->{curr_items}, $items, 'all are stored';
my $before = $mc->rss;

my @slow = map { $mc->client(rcvbuf => 4096) } 1 .. 5;
$_->send("lru_crawler metadump all\r\n") for @slow;
is $_->line, "OK\r\n", 'a dump begins' for @slow;

# The only worker serves others meanwhile, even other dumps.
for my $i (1 .. 50) {
    is $c->get(sprintf 'key-%07d', $i), 'abc' or last;
}
$c->send("lru_crawler mgdump hash\r\n");
is $c->line, "OK\r\n";
my (%seen, $bad);
while (defined(my $line = $c->line)) {
    last if $line eq "EN\r\n";
    if ($line =~ /\Amg key-(\d{7})\r\n\z/) {
        $seen{$1}++;
    } else {
        $bad = $line;
    }
}
is $bad, undef, 'every line is right';
is scalar(keys %seen), $items, 'every key is there';
is scalar(grep { $_ != 1 } values %seen), 0, 'once';
cmp_ok $mc->rss - $before, '<', 20_000_000, 'memory stays bounded'
    if !is_sanitized;
is scalar(grep { /\Aconn_watch\z/ } values %{$mc->stats('conns')}), 5,
    'the others are still under way';

# One goes on; the items change under it.
$c->send(join '', map { sprintf "delete key-%07d noreply\r\n", $_ }
    0 .. 9_999);
is $c->ask('mn'), 'MN';
my $text = $slow[0]->read_ending("END\r\n");
my $n    = () = $text =~ /^key=key-\d{7} exp=-1 la=\d+ cas=\d+ .* \n/mg;
cmp_ok $n, '>=', $items - 10_000, 'all that stayed';
cmp_ok $n, '<=', $items, 'and none twice';
is $slow[0]->ask('mn'), 'MN', 'the connection goes on';
$slow[1]->reset;
undef @slow;
ok((wait_for { $mc->stats->{curr_connections} <= 3 } 10), 'all are gone');
done_testing;
