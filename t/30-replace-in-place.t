#!/usr/bin/perl
# Values that shrink, grow and change class keep their readers whole.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached('-m', 128, '-t', 2);
my $c  = $mc->client;

srand($ENV{SEED} // 42);
my %want;
my $bad = 0;
for my $step (1 .. 4000) {
    my $key  = 'k' . int rand 50;
    my $size = (10, 100, 1000, 3000, 9000, 60_000, 600_000)[
        rand(100) < 97 ? rand 5 : 5 + rand 2];
    my $value = chr(97 + rand 26) x int(1 + rand $size);
    my $kind  = int rand 8;
    if ($kind < 4) {
        $c->set($key, $value) eq 'STORED' or $bad++;
        $want{$key} = $value;
    } elsif ($kind == 4 && length($want{$key} // '') < 200_000) {
        my $piece = substr $value, 0, 50;
        my $reply =
            $c->ask("append $key 0 0 " . length($piece) . "\r\n$piece");
        $bad++ if $reply ne (defined $want{$key} ? 'STORED' : 'NOT_STORED');
        $want{$key} .= $piece if defined $want{$key};
    } elsif ($kind == 5) {
        my $reply = $c->ask("delete $key");
        $bad++ if $reply ne (defined $want{$key} ? 'DELETED' : 'NOT_FOUND');
        delete $want{$key};
    } else {
        my $got = $c->get($key);
        $bad++ if ($got // '(none)') ne ($want{$key} // '(none)');
    }
    if ($bad) {
        fail "step $step, $key";
        last;
    }
}
is $bad, 0, '4,000 changes of 50 keys';
for my $key (sort keys %want) {
    my $got = $c->get($key) // '(none)';
    $bad++ if $got ne $want{$key};
}
is $bad, 0, 'and all as they should be';
is $mc->stats->{curr_items}, scalar keys %want, 'curr_items';

# Counters at their edges, beside values of the same length.
is $c->set('n', '99'), 'STORED';
is $c->ask('incr n 1'), '100', 'one digit more';
is length $c->get('n'), 3, 'its natural length';
is $c->ask('decr n 91'), '9', 'fewer digits';
is $c->get('n'), '9  ', 'padded';
is $c->ask("append n 0 0 1\r\n5"), 'STORED', 'append behind the padding';
is $c->ask('incr n 1'), '10', 'the number ends at the blank';
is $c->set('n', '0' x 50), 'STORED';
is $c->ask('incr n 18446744073709551615'), '18446744073709551615', '20 digits';
is length $c->get('n'), 50, 'in the old length';
$c->nothing_more;
done_testing;
