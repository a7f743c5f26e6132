package Turns;

# What one node of a pair does, the other shows: requests of the two in turns.

use strict;
use warnings;

use Exporter qw(import);
use Test::More;

use Memcached;
use Pair;

our @EXPORT = qw(both_ways ms);

my $TURNS = 5;

# The request that stores a value.
sub ms
{
    my ($key, $value, $flags) = @_;
    return sprintf "ms %s %d %s\r\n%s", $key, length $value, $flags // '', $value;
}

# Time passes between two requests: seconds are compared in tens.
sub _about
{
    my ($text) = @_;
    $text =~ s/ t(\d+)/' t' . int(($1 + 5) \/ 10)/ge;
    return $text;
}

sub _check
{
    my ($client, $name, $request, $answer) = @_;
    $client->send("$request\r\n");
    my $got = $client->line // '(none)';
    $got .= $client->read($1 + 2) if $got =~ /\AVA (\d+)/;
    return Client::same_bytes(_about($got), _about("$answer\r\n"),
        "$name: " . Client::shown($request, 40));
}

sub _settle
{
    my @mc = @_;
    my $ok = wait_for { in_sync(@mc) } 20;
    return ok $ok, 'in sync';
}

# A row is a name, what one node is asked (request, answer, request, answer...),
# then what the other is asked, then the first again, and so on. Each turn begins
# when both have confirmed all there was. All of it is done from either side.
sub both_ways
{
    my ($mc, @rows) = @_;
    my @c = map { $_->client } @$mc;
    for my $from (0, 1) {
        for my $turn (1 .. $TURNS) {
            my $who = ($from + $turn + 1) % 2;
            for my $row (@rows) {
                my @steps = @{$row->[$turn] // []};
                while (my ($request, $answer) = splice @steps, 0, 2) {
                    _check($c[$who], "$row->[0], on $who", $request, $answer);
                }
            }
            _settle(@$mc);
        }
        is $c[$from]->ask('flush_all'), 'OK';
        _settle(@$mc);
    }
    return;
}

1;
