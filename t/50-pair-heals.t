#!/usr/bin/perl
# A link that was reset, cut or stalled comes back by itself, and both sides
# end the same.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

use Time::HiRes qw(time);

my ($one, $two, @relay) = start_pair(
    relay => 1,
    a     => ['-o', 'rep_timeout=2'],
    b     => ['-o', 'rep_timeout=2']
);
my @c = ($one->client, $two->client);

sub both_have
{
    my ($key, $value, $name) = @_;
    ok(
        (
            wait_for {
                !grep { ($_->get($key) // '') ne $value } @c
            }
            5
        ),
        $name
    );
    return;
}

my $n = 0;
for my $how (qw(reset cut reset stall)) {
    $_->$how for @relay;
    ok((wait_for { !linked($one) && !linked($two) || $how eq 'reset' } 10),
        "$how: both notice");
    $c[0]->set('both', 'one');
    $c[1]->set('both', 'two');
    $c[0]->set("one$n", $n);
    $c[1]->set("two$n", $n);
    $_->heal for @relay;
    my $start = time;
    ok((wait_for { linked($one) && linked($two) } 5),
        sprintf '%s: linked again after %.3f s', $how, time - $start);
    both_have("one$n", $n, 'what one side wrote meanwhile');
    both_have("two$n", $n, 'and what the other did');
    my $winner;
    wait_for {
        $winner = $c[0]->get('both') // '';
        $winner eq ($c[1]->get('both') // 'none')
    }
    5;
    like $winner, qr/\A(?:one|two)\z/, 'of two changes the same wins on both';
    is $c[1]->get('both'), $winner, 'and stays';
    $n++;
}

# Writes on both sides at once end equal.
for (1 .. 200) {
    my $key = $_;
    $c[$_]->send("set key$key 0 0 4 noreply\r\nfrm$_\r\n") for 0, 1;
}
$_->get('nothing') for @c;
my $different;
wait_for {
    $different = grep { ($c[0]->get("key$_") // 0) ne ($c[1]->get("key$_") // 1) }
        1 .. 200;
    !$different
}
5;
is $different, 0, 'keys written on both sides at once are the same';

# A name that leads nowhere is no error, and does not keep the other out.
my ($rep, $other) = (free_port(), free_port());
my $lost = start_memcached({port => free_port()}, '-x', 'no-such-host.invalid',
    '-X', "$rep:$other", '-o', 'rep_timeout=1');
is $lost->stats('replication')->{link_status}, 'dialing', 'it keeps dialling';
my $finder = start_memcached({port => free_port()}, '-x', '127.0.0.1', '-X',
    "$other:$rep");
ok((wait_for { linked($lost) && linked($finder) } 5), 'and is found');
done_testing;
