#!/usr/bin/perl
# With -I, values of many megabytes: stored, cut, appended, evicted.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => 'too much memory for a sanitized build' if is_sanitized;

my $mc = start_memcached('-I', '1024m', '-m', 4096);
my $c  = $mc->client(timeout => 60);
is $mc->stats('settings')->{item_size_max}, 1 << 30, '-I 1024m';

sub pattern
{
    my ($n) = @_;
    return substr join('', map { pack 'N', $_ * 2654435761 & 0xffffffff }
            1 .. 1 + $n / 64) x 16, 0, $n;
}

for my $n (1_048_576, 1_048_577, 5_000_000, 33_554_432, 104_857_600) {
    my $value = pattern($n);
    is $c->set("v$n", $value, 7), 'STORED', "$n bytes";
    my ($got, $flags) = $c->gets("v$n");
    Client::same_bytes($got, $value, "$n bytes come back");
    is $flags, 7, 'with their flags';
}
my $s = $mc->stats;
is $s->{curr_items}, 5, 'five items';
cmp_ok $s->{bytes}, '>', 145_000_000, 'and their bytes';
my $more = 'm' x 2_000_000;
is $c->ask("append v1048576 0 0 2000000\r\n$more"), 'STORED', 'append';
is length $c->get('v1048576'), 3_048_576, 'its length';
is $c->ask('delete v104857600'), 'DELETED', 'delete';
is $mc->stats->{curr_items}, 4;

# Two readers of one item that is replaced meanwhile see a whole value.
my $slow = $mc->client(timeout => 60);
$slow->send_only("get v33554432\r\n");
is $slow->read(20), "VALUE v33554432 7 33", 'a reader has begun';
is $c->set('v33554432', 'short'), 'STORED', 'replaced under it';
my $rest = $slow->read(33_554_432 + 15);
like substr($rest, 0, 8), qr/\A554432\r/, 'it goes on';
is substr($rest, -7), "\r\nEND\r\n", 'to its end';
is $c->get('v33554432'), 'short', 'and the new value is there';

# More than fits: the oldest leave, the process does not.
my $small = start_memcached('-I', '32m', '-m', 128);
my $d     = $small->client(timeout => 60);
my $value = pattern(20_000_000);
for my $i (1 .. 12) {
    is $d->set("big$i", $value), 'STORED', "20 MB, number $i";
}
Client::same_bytes($d->get('big12'), $value, 'the last is whole');
cmp_ok $small->stats->{evictions}, '>=', 5, 'others made room';
cmp_ok $small->rss, '<', 260_000_000, 'within bounds';
done_testing;
