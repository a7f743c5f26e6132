#!/usr/bin/perl
# A split: what was changed last wins on both sides, whatever it was.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Netns;
use Pair;

use Time::HiRes qw(time);

plan skip_all => "built without replication" if !has_replication();

my $net = Netns->new(2);
my @mc  = start_nodes($net, args => ['-o', 'rep_timeout=1']);
my @c   = map { $_->client } @mc;

sub split_net
{
    $net->hole(0, 1);
    wait_for { none_linked(@mc) } 5 or die "they do not notice\n";
    return;
}

# Which of two changes is the later one is only known from different
# milliseconds on.
sub later
{
    my $start = time;
    return wait_for { time > $start + 0.01 } 5;
}

# Two sides change the same keys; the other side last.
my @keys = map { "key$_" } 1 .. 500;
my @set  = map { my $i = $_; [map { "set $_ $i 0 1\r\n$i\r\n" } @keys] } 0, 1;
my @all  = qw(deleted unseen revived flushed early late1 late2);
for my $one (0, 1) {
    my $two = 1 - $one;
    $c[$one]->set($_, 'old') for qw(deleted revived flushed);
    agree_ok(\@mc, [@keys, @all], 5, 'before');
    split_net();
    $c[$two]->set('unseen', 'older');
    $c[$_]->set('early', $_) for 0, 1;
    later();
    is $c[$one]->ask("delete $_"), 'DELETED', "$_: deleted by $one"
        for qw(deleted revived);
    is $c[$one]->ask('delete unseen'), 'NOT_FOUND', 'unseen: here, too';
    later();
    is $c[$two]->set('revived', 'newer'), 'STORED', 'revived: the other sets';
    requests([$c[$two]], $set[$two]);
    later();
    requests([$c[$one]], $set[$one]);
    is scalar differing(\@mc, @keys), scalar @keys, 'all keys differ';
    $net->heal;
    agree_ok(\@mc, [@keys, @all], 5, "after the changes of $one");
    my $has = contents($mc[$two], @keys);
    is scalar(grep { /\A$one 1 \d+ $one\z/ } values %$has), scalar @keys,
        'the last change won';
    for my $c (@c) {
        is $c->get('deleted'), undef,   'deleted is gone';
        is $c->get('unseen'),  undef,   'unseen is gone';
        is $c->get('revived'), 'newer', 'revived is there';
    }

    split_net();
    $c[$two]->set('late1', 'not so late');
    later();
    is $c[$one]->ask('flush_all'), 'OK', "flush_all on $one";
    later();
    $c[$one]->set('late1', $one);
    $c[$two]->set('late2', $two);
    $net->heal;
    agree_ok(\@mc, [@keys, @all], 5, 'after the flush');
    for my $c (@c) {
        is scalar(grep { defined $c->get($_) } 'key1', @all), 2,
            'what is older is gone';
        is $c->get('late1'), $one, 'what one wrote after it is there';
        is $c->get('late2'), $two, 'and what the other did';
    }
    is_deeply [map { $_->stats->{curr_items} } @mc], [2, 2], 'and no more';
}

done_testing;
