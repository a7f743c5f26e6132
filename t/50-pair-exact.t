#!/usr/bin/perl
# What a client can see of an item is the same on both nodes: keys, flags,
# values, cas and end, whatever command made it.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;

plan skip_all => "built without replication" if !has_replication();

my @mc = start_pair();
my @c  = map { $_->client } @mc;
my ($from, @keys);

# A request on one node, its answer, and a key to be compared.
sub make
{
    my ($key, $request, $answer) = @_;
    push @keys, $key if !grep { $_ eq $key } @keys;
    if (defined $answer) {
        $c[$from]->says("$request\r\n", "$answer\r\n", Client::shown($request, 50));
    } else {
        $c[$from]->send("$request\r\n"); # noreply
    }
    return;
}

sub store
{
    my ($key, $flags, $expiry, $value) = @_;
    return make($key, sprintf("set %s %s %s %d\r\n%s", $key, $flags, $expiry,
            length $value, $value), 'STORED');
}

for (0, 1) {
    $from = $_;
    @keys = ();
    store("flags$_", $_, 0, "value of $_")
        for 0, 1, 255, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1;

    # Ends: relative, absolute, never, over, and more than 32 bits have.
    my $month = 30 * 86_400;
    my @over = ($month + 1, 2**31, 2**32 - 1, -1, -2**31);
    store("end$_", 0, $_, 'v') for 0, 1000, $month, time + 1000, 2**31 - 1, 2**32, @over;

    # Keys: as long as they get, bytes of any kind, such as are alike.
    store($_, 7, 0, "value of " . unpack 'H*', $_)
        for 'k', 'k' x 249, 'k' x 250, 'l' . 'k' x 249,
        pack('C*', 0x80 .. 0xff), (map { chr } 0x21 .. 0x7e, 0x80 .. 0xff),
        "\x01\x02\x1f\x7f", "\xff" x 250, 'END', 'VALUE', 'rep', 'a:b', 'a::b';

    # Values: none, line ends, every byte, lengths around those of a batch.
    store("value$_->[0]", 1, 0, $_->[1])
        for ['none', ''], ['line', "\r\n"], ['end', "END\r\n\r\nEND\r\n."],
        ['bytes', pack 'C*', 0 .. 255], ['zeroes', "\0" x 5000];
    store("length$_", 2, 0, 'x' x $_) for 1, 2, 7, 8, 65_480 .. 65_540;

    # What commands make of what is there.
    store('count', 5, 0, '99');
    make('count', 'incr count 1',  '100');
    make('count', 'decr count 91', '9');
    store('down', 5, 0, '1000');
    make('down', 'decr down 1', '999');
    store('wraps', 5, 0, '18446744073709551615');
    make('wraps', 'incr wraps 2', '1');
    make('wraps', 'decr wraps 5', '0');
    store('word', 9, 1000, 'mid');
    make('word', "append word 1 5 4\r\n-end", 'STORED');
    make('word', "prepend word 1 5 6\r\nbegin-", 'STORED');
    store('empty', 9, 0, '');
    make('empty', "append empty 0 0 0\r\n", 'STORED');
    make('added', "add added 4294967295 0 1\r\na", 'STORED');
    make('added', "add added 1 0 1\r\nb", 'NOT_STORED');
    make('added', "replace added 17 0 2\r\nbb", 'STORED');
    make('count', 'touch count 1000', 'TOUCHED');

    # Without an answer.
    make('q', "set q 3 0 1 noreply\r\n1");
    make('q', 'incr q 41 noreply');
    make('q', "append q 0 0 1 noreply\r\n0");
    make('q', 'touch q 500 noreply');
    make('r', "add r 4 0 1 noreply\r\nr");
    make('r', "prepend r 4 0 1 noreply\r\np");
    make('s', "add s 4 0 1 noreply\r\ns");
    make('s', 'delete s noreply');
    is $c[$from]->get('q'), '420', 'done';
    agree_ok(\@mc, \@keys, 10, scalar(@keys) . " keys made on $from");
    my $has = contents($mc[$from], @keys);
    is join(' ', sort grep { !$has->{$_} } @keys), join(' ', sort 's', map { "end$_" } @over),
        'all but what is over are there';
    make('none', 'flush_all noreply');
    have_ok(\@c, $keys[0], undef, 'flushed');
}
done_testing;
