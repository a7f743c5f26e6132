#!/usr/bin/perl
# Values that travel in parts, one after the other: none waits for an event.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(time);

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

# With the timeout the beats, which end any sleep, are 15 s apart.
my @mc = start_pair(map { $_ => ['-o', 'rep_timeout=60'] } 'a', 'b');
my @c  = map { $_->client } @mc;
my $bound = is_sanitized() ? 5 : 2;

for my $round (1 .. 5) {
    for my $from (0, 1) {
        my @keys  = map { "large$_" } 1 .. 8;
        my $value = "$round$from" x 50_000;
        $c[$from]->send(join '',
            map { "set $_ 0 0 100000 noreply\r\n$value\r\n" } @keys);
        my @want = map { ($c[$from]->gets($_))[2] } @keys;
        my @got;
        my $ok = wait_for {
            @got = map { ($c[1 - $from]->gets($_))[2] // 0 } @keys;
            "@got" eq "@want"
        }
        $bound;
        ok $ok, "round $round: all came at once to " . (1 - $from)
            or diag "wanted @want, got @got";
    }
}
done_testing;
