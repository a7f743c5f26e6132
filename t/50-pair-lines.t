#!/usr/bin/perl
# The lines of -v and -vv are repcached's, to the letter.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

my ($first_rep, $second_rep) = (free_port(), free_port());
my $ip = '127.0.0.1';

# What a daemon has said about replication, without the line ends.
sub lines
{
    my ($mc) = @_;
    return join '; ',
        map { /^replication: (.*)/ ? $1 : () } split /\n/, $mc->stderr;
}

sub says
{
    my ($mc, $want, $name) = @_;
    wait_for { lines($mc) eq $want } 10;
    is lines($mc), $want, $name;
    return;
}

# A change can be read before its line is printed.
sub prints
{
    my ($mc, $want, $name) = @_;
    wait_for { $mc->stderr =~ $want } 10;
    like $mc->stderr, $want, $name;
    return;
}

my $first = start_memcached({port => free_port()}, '-vv', '-X',
    "$first_rep:$second_rep");
says($first, 'listen', 'the first listens');
prints($first, qr/^<\d+ server listening \(replication\)$/m, 'and so says -vv');

my $connect = "connect (peer=$ip:$first_rep)";
my $second  = start_memcached({port => free_port()}, '-vv', '-X',
    "$second_rep:$first_rep", '-x', 'localhost');
says($second, "$connect; marugoto copying; start", 'the second joins');
says($first, 'listen; accept', 'the first has nothing to copy');

my $c = $first->client;
$c->set("key$_", 'value', 1) for 1 .. 7;
prints($second, qr/^<(\d+) rep key7 1 0 5 \d+\nREP>\1 STORED$/m,
    'a set as -vv shows it');
prints($second, qr/^<\d+ marugoto_end$/m, 'the end of the copy');
$c->ask('delete key7');
prints($second, qr/^<(\d+) delete key7 \d+\nREP>\1 DELETED$/m,
    'a delete as -vv shows it');

$second->stop;
says($first, 'listen; accept; close; listen', 'the second leaves');
like $second->stderr, qr/^replication: cleanup complete$/m, 'in order';

$second->restart;
says(
    $first,
    'listen; accept; close; listen; '
        . 'accept; marugoto start; marugoto 6; marugoto owari',
    'the second is back'
);
my $told = "$connect; marugoto copying; start";
says($second, "$told; cleanup complete; $told", 'and copied again');

$first->kill_hard;
wait_for { lines($second) =~ /can't connect/ };
is lines($second), "$told; cleanup complete; $told; close; listen; $connect; "
    . "can't connect $ip:$first_rep", 'the first dies';
done_testing;
