#!/usr/bin/perl
# A peer that was away for a while gets what changed meanwhile, not everything.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Netns;
use Pair;

plan skip_all => "built without replication" if !has_replication();

my $net     = Netns->new(2);
my $items   = is_sanitized() ? 10_000 : 100_000;
my $changed = 1_000;
my @args    = ('-m', 256, '-o', 'rep_timeout=1,rep_log=64m');
my @mc      = start_nodes($net, args => \@args);
my @c       = map { $_->client } @mc;
my @keys    = map { "key$_" } 1 .. $items;

# Sets these keys on one side.
sub set_all
{
    my ($side, $value, @some) = @_;
    requests([$c[$side]],
        [map { sprintf "set %s 1 0 %d\r\n%s\r\n", $_, length $value, $value } @some]);
    return;
}

sub sum
{
    my ($row) = @_;
    my $sum = 0;
    $sum += $_ for rows($row, @mc);
    return $sum;
}

set_all(0, 'x' x 100, @keys);
agree_ok(\@mc, \@keys, 20, "$items items");

for my $outage (
    ['changes here',       [0],    sub { $net->cut(0) }],
    ['changes there',      [1],    sub { $net->hole(0, 1) }],
    ['changes on both',    [0, 1], sub { $net->cut(1) }],
    ['changes on neither', [],     sub { $net->hole(0, 1) }],
    )
{
    my ($name, $sides, $fault) = @$outage;
    my %before = map { $_ => sum($_) } qw(items_sent full_copies_sent);
    $fault->();
    ok((wait_for { none_linked(@mc) } 5), "$name: apart");
    my $each = @$sides ? $changed / @$sides : 0;
    set_all($_, "$name $_", @keys[$_ * $each .. ($_ + 1) * $each - 1]) for @$sides;
    $c[$_]->ask("delete key" . ($items - $_)) for @$sides;
    isnt scalar differing(\@mc, @keys), 0, 'they differ' if @$sides;
    $net->heal;
    agree_ok(\@mc, \@keys, 5, $name);
    is sum('full_copies_sent'), $before{full_copies_sent}, 'no full copy';
    my $sent = sum('items_sent') - $before{items_sent};
    my $most = @$sides ? 2 * $changed : 0;
    cmp_ok $sent, '<=', $most, "$sent items sent for " . $each * @$sides;
}
note 'partial copies: ', sum('partial_copies_sent');
done_testing;
