#!/usr/bin/perl
# A split, and changes by meta commands and packets: marks, cas ids of a client's
# choice, keys in base64, a flush that comes later. What was changed last wins.

use strict;
use warnings;

use FindBin;
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Memcached;
use Netns;
use Pair;
use Time::HiRes qw(time);

plan skip_all => "built without replication" if !has_replication();

my $net  = Netns->new(2);
my @mc   = start_nodes($net, args => ['-o', 'rep_timeout=1']);
my @c    = map { $_->client } @mc;
my @b    = map { Binary->new($_->client) } @mc;
my @keys = (qw(stale unmade made far near value foo), storm_keys());
my $far  = '18446744073709551615';
my $b64  = encode_base64("a\nb c", '');

sub split_net
{
    $net->hole(0, 1);
    wait_for { none_linked(@mc) } 5 or die "they do not notice\n";
    return;
}

# What two sides change is in order only from different milliseconds on.
sub later
{
    my $start = time;
    return wait_for { time > $start + 0.01 } 5;
}

# Each side says so.
sub all_say
{
    my ($request, $answer, $name) = @_;
    return map { $_->says("$request\r\n", "$answer\r\n", $name) } @c;
}

for my $one (0, 1) {
    my $two = 1 - $one;
    $c[$one]->says("ms $_ 3 T500 E9\r\nold\r\n", "HD\r\n") for qw(stale unmade far near);
    $c[$one]->says("ms $b64 3 b\r\nold\r\n", "HD\r\n");
    agree_ok(\@mc, \@keys, 5, 'before');
    split_net();

    # Older on side two, newer on side one.
    $c[$two]->says("ms stale 5 T600\r\nolder\r\n", "HD\r\n");
    $c[$two]->says("md unmade I T600 E$far\r\n",   "HD\r\n");
    $c[$two]->says("ms far 5 E$far\r\nolder\r\n",  "HD\r\n");
    $c[$two]->says("ms $b64 5 b\r\nolder\r\n",     "HD\r\n");
    $c[$two]->says("mg made N500 E$far\r\n",       "HD W\r\n");
    later();
    $c[$one]->says("md stale I E8\r\n",            "HD\r\n");
    $c[$one]->says("ms unmade 5\r\nnewer\r\n",     "HD\r\n");
    $c[$one]->says("ms far 5 E1\r\nnewer\r\n",     "HD\r\n");
    $c[$one]->says("ms near 5 E$far\r\nolder\r\n", "HD\r\n");
    $c[$one]->says("md $b64 b\r\n",                "HD\r\n");
    is $b[$one]->ask(packet('incrq', key => 'made', extras => arith_extras(1, 41, 0))), '';
    later();
    $c[$two]->says("ms near 5\r\nnewer\r\n", "HD\r\n");
    storm(\@c, 300);
    $net->heal;
    wait_for { in_sync(@mc) } 5;
    $c[$two]->says("mg stale c v\r\n", "VA 3 c8 X W\r\nold\r\n", 'the mark is later');
    ok((wait_for { in_sync(@mc) } 5), 'told');
    all_say('mg stale c v', "VA 3 c8 Z X\r\nold", 'won');
    all_say('mg unmade v',   "VA 5\r\nnewer",     'the value is later');
    all_say('mg far c v',    "VA 5 c1\r\nnewer",  'a great cas wins nothing');
    all_say('mg near v',     "VA 5\r\nnewer",     'here neither');
    all_say('mg made v',     "VA 2\r\n41",        'a number replaces what was vivified');
    all_say("mg $b64 b v", 'EN', 'the deletion is later');
    agree_ok(\@mc, \@keys, 5, 'all the same');

    $c[$_]->says("ms far 1 E$far\r\n$_\r\n", "HD\r\n") for 0, 1;
    later();
    is $c[$two]->set('far', 'last'), 'STORED';
    have_ok(\@c, 'far', 'last');

    # A flush that comes later, of one side alone, unseen by the other as yet.
    $net->hole(0, 1);
    is $b[$one]->ask(packet('flush', extras => touch_extras(2))), 'flush 0000', 'in 2 s';
    $c[$two]->set('value', 'early');
    $net->heal;
    ok((wait_for { in_sync(@mc) } 5), 'told of the flush');
    ok((wait_for { !grep { defined $_->get('value') } @c } 5), 'it comes on both');
    $c[$two]->says("ms value 4\r\nlate\r\n", "HD\r\n", 'what is set then');
    agree_ok(\@mc, \@keys, 5, 'after the flush');
}
done_testing;
