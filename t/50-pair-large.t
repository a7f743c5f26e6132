#!/usr/bin/perl
# Large values go in pieces: they arrive whole, hold up neither small ones nor
# the heartbeats, and what replaces one that is under way wins on both sides.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;

use Time::HiRes qw(time);

plan skip_all => "built without replication" if !has_replication();

my @option = ('-m', 600, '-I', '128m', '-o', 'rep_timeout=1');
my ($one, $two, $relay) =
    start_pair(dials => 'a', relay => 1, a => [@option], b => [@option]);
my @mc = ($one, $two);
my @c  = map { $_->client } @mc;
my $mb = 1_048_576;

# Bytes with a period that no size of a piece has.
sub value
{
    my ($seed, $size) = @_;
    my $period = "$seed:" . join ',', 1 .. 20_000;
    return substr $period x (1 + $size / length $period), 0, $size;
}

# The value arrives there, flags too.
sub arrives
{
    my ($to, $key, $value, $flags, $name) = @_;
    my ($got, $has);
    wait_for { ($got, $has) = $c[$to]->gets($key); ($got // '') eq $value } 20;
    ok(($got // '') eq $value && $has == $flags, $name);
    return;
}

for my $size ($mb - 200, $mb, 8 * $mb, is_sanitized() ? () : 100 * $mb) {
    my $value = value($size, $size);
    for my $from (0, 1) {
        is $c[$from]->set("large$from", $value, $size), 'STORED';
        arrives(1 - $from, "large$from", $value, $size, "$size bytes from $from");
        is $c[$from]->ask("delete large$from"), 'DELETED';
        have_ok([$c[1 - $from]], "large$from", undef, 'and its end');
    }
}
is "@{[rows('full_copies_sent', @mc)]}", '1 1', 'on one link';

# A link on which it takes longer than three times rep_timeout, both ways.
my $value = value('slow', 8 * $mb);
my $start = time;
my $small = 0;
$relay->rate(2.5e6);
is $c[$_]->set("slow$_", $value, 7), 'STORED' for 0, 1;
until (defined $c[0]->get('slow1') || defined $c[1]->get('slow0') || time > $start + 20) {
    $c[$_]->set("small$_", $small + 1) for 0, 1;
    wait_for { ($c[$_]->get('small' . (1 - $_)) // 0) > $small } 10 for 0, 1;
    $small++;
}
my $took = time - $start;
cmp_ok $took, '>', 3, sprintf 'the large ones took %.1f s', $took;
cmp_ok $small, '>', 5, "$small small ones overtook each";
arrives(1 - $_, "slow$_", $value, 7, "all of that of $_") for 0, 1;
is $relay->links_made, 1, 'the link stayed up';
$relay->heal;

# What is under way when it is replaced or deleted.
for my $from (0, 1) {
    my $other = $c[1 - $from];
    for my $row (
        [$c[$from], 'replaced here',  "set gone 1 0 3\r\nnew", 'new'],
        [$c[$from], 'deleted here',   'delete gone', undef],
        [$other,    'written there',  "set gone 1 0 3\r\nnew", 'new'],
        [$c[$from], 'flushed here',   'flush_all', undef],
        [$c[$from], 'another large one', 'append gone 0 0 1' . "\r\n!", "$value!"],
        )
    {
        my ($by, $name, $request, $end) = @$row;
        $other->ask('delete gone');
        ok((wait_for { in_sync(@mc) } 10), 'in sync');
        $relay->rate(20e6);
        my $bytes = $relay->bytes;
        $c[$from]->set('gone', $value);
        ok((wait_for { $relay->bytes > $bytes + 1e6 } 10), 'under way');
        like $by->ask($request), qr/\A(?:STORED|DELETED|OK)\z/;
        $relay->heal;
        have_ok(\@c, 'gone', $end, "from $from, $name");
        agree_ok(\@mc, ['gone'], 10, 'with the same version');
    }
}
done_testing;
