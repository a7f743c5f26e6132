#!/usr/bin/perl
# Requests cut at any byte, and many in one piece, are answered alike.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached();

# Every kind of request, in one session whose answers are known.
my $big = 'B' x 5000;
my @session = (
    ["set a 1 0 3\r\nabc\r\n",       "STORED\r\n"],
    ["get a\r\n",                    "VALUE a 1 3\r\nabc\r\nEND\r\n"],
    ["set big 0 0 5000\r\n$big\r\n", "STORED\r\n"],
    ["set q 0 0 1 noreply\r\n7\r\n", ''],
    ["incr q 5\r\n",                 "12\r\n"],
    ["get big a q\n", "VALUE big 0 5000\r\n$big\r\nVALUE a 1 3\r\nabc\r\n"
            . "VALUE q 0 2\r\n12\r\nEND\r\n"],
    ["append a 0 0 2\r\n\r\n\r\n",  "STORED\r\n"],
    ["nonsense\r\n",                 "ERROR\r\n"],
    ["touch a 0\r\n",                "TOUCHED\r\n"],
    ["set b 0 x 2\r\nmn\r\n", "CLIENT_ERROR bad command line format\r\n"],
    ["gat 0 a\r\n",    "VALUE a 1 5\r\nabc\r\n\r\nEND\r\n"],
    ["delete a\r\n",   "DELETED\r\n"],
    ["delete a\r\n",   "NOT_FOUND\r\n"],
    ["get a\r\n",      "END\r\n"],
);
my $in  = join '', map { $_->[0] } @session;
my $out = join '', map { $_->[1] } @session;

my $c = $mc->client;
$c->says($in, $out, 'in one piece');
$c->says($in x 300, $out x 300, '300 sessions in one piece');
my ($slow, $answer) = ($in, $out);
s/B{4990}// for $slow, $answer;
s/\b5000\b/10/ for $slow, $answer;
$c->send($_) for split //, $slow;
$c->says('', $answer, 'byte by byte');

# Two pieces, cut at every place of the short part; the big value at some.
my $bad = 0;
for my $at (1 .. 60, map({ 60 + 97 * $_ } 1 .. 51), 5060 .. length($in) - 1) {
    $c->send(substr $in, 0, $at);
    $c->send(substr $in, $at);
    my $got = $c->read(length $out);
    next if $got eq $out;
    $bad++;
    Client::same_bytes($got, $out, "cut at $at");
    last;
}
is $bad, 0, 'cut in two at any place';

# Random cuts, several connections at once.
my $seed = $ENV{SEED} // time;
diag "SEED=$seed" if $ENV{SEED};
srand $seed;
my @conn = map { {c => $mc->client, todo => $in x 20} } 1 .. 8;
my $text = $out x 20;
while (my @left = grep { $_->{todo} ne '' } @conn) {
    for my $conn (@left) {
        my $piece = substr $conn->{todo}, 0, 1 + int rand 9000, '';
        $conn->{c}->send($piece);
    }
}
# The keys are shared, so only frames are sure; lengths of replies are not.
for my $conn (@conn) {
    my $end = $conn->{c}->ask('cache_memlimit 1');
    ok defined $end, 'answers after random cuts';
}
done_testing;
