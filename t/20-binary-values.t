#!/usr/bin/perl
# The binary protocol: values of all sizes in any pieces, many requests at
# once, readers that are slow, and values that are too large.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Memcached;

my $mc = start_memcached('-m', 100);
my $c  = $mc->client;
my $b  = Binary->new($mc->client);
my $x  = set_extras(1, 0);

for my $size (0, 1, 2047, 2048, 2049, 16_300, 16_384, 70_000, 600_000, 1_048_000)
{
    my $value = substr "\r\n$size\x80" x ($size / 4 + 1), 0, $size;
    is $b->ask(packet('set', key => 'v', extras => $x, value => $value)),
        'set 0000:cas', "$size bytes";
    my ($r) = $b->replies(packet('getk', key => 'v'));
    Client::same_bytes($r->{value}, $value, 'come back');
    Client::same_bytes($c->get('v'), $value, 'in text too');
    $b->ask(packet('append', key => 'v', value => 'end')) if $size < 700_000;
}

# A request cut anywhere is the same request.
my $set = packet('set', key => 'cut', extras => $x, value => 'value', opaque => 1);
my $get = packet('get', key => 'cut', opaque => 2);
for my $at (1 .. length "$set$get") {
    my $cut = Binary->new($mc->client);
    $cut->client->send(substr "$set$get", 0, $at);
    $b->ask(); # so that the first part has been read
    $cut->client->send(substr "$set$get", $at);
    my @got = map { my $r = $cut->reply; $r && "$r->{opaque}:$r->{code}" } 1, 2;
    is "@got", '1:0 2:0', "cut at $at" or last;
}

# Many requests, whose keys are looked up ahead, in order.
my @keys = map { "key$_" } 1 .. 2000;
is $b->ask(map { packet('setq', key => $_, extras => $x, value => "=$_") }
        @keys), '', '2000 quiet sets at once';
my @got = map { $_->{value} } $b->replies(map { packet('getkq', key => $_) }
        map { ($_, "no$_") } @keys);
is "@got", join(' ', map { "=$_" } @keys), 'and twice as many gets';

# A reader that is slow: what it cannot take waits, what it sent is kept.
my $big = 'b' x 300_000;
is $b->ask(packet('set', key => 'big', extras => $x, value => $big)),
    'set 0000:cas';
my $slow = Binary->new($mc->client(rcvbuf => 4096));
my @many = map { (packet('get', key => 'big', opaque => $_),
        packet('get', key => 'key1', opaque => $_)) } 1 .. 60;
$slow->client->send_only(join '', @many);
my ($right, $wrong) = (0, 0);
for my $n (1 .. 60) {
    my ($first, $second) = ($slow->reply, $slow->reply);
    ($first && $second && $first->{value} eq $big && $first->{opaque} == $n
            && $second->{value} eq '=key1' && $second->{opaque} == $n)
        ? $right++ : $wrong++;
}
is "$right $wrong", '60 0', '60 large values to a slow reader';

# Too large: swallowed, answered, and a set takes what was there with it.
my $huge = 'h' x 1_200_000;
for my $verb (qw(set setq add replaceq append prependq)) {
    my %opt = $verb =~ /end/ ? () : (extras => $x);
    $c->set('h', 'small');
    is $b->ask(packet($verb, key => 'h', %opt, value => $huge),
        packet('noop', opaque => 4)),
        "$verb 0003 \"Too large.\", noop 0000 opaque 4", "$verb, too large";
    is $c->get('h'), $verb =~ /set/ ? undef : 'small', 'what is there then';
}
$c->set('h', 'small');
is $b->ask(packet('append', key => 'h', value => 'x' x 1_048_514)),
    'append 0005 "Not stored."', 'append that makes too large a value';
is $mc->stats->{store_too_large}, 0, 'none of that is counted';
done_testing;
