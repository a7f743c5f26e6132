#!/usr/bin/perl
# A peer that stands still costs nobody anything, and gets everything after.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

for my $timeout (60, 1) {
    my @log = ('-o', "rep_timeout=$timeout,rep_log=1m");
    my ($one, $two) = start_pair(a => ['-m', 256, @log], b => ['-m', 256, @log]);
    my $c = $one->client;
    $c->set('warm', 'up');
    ok((wait_for { $two->client->get('warm') } 5), 'a living pair');
    my $items = 40_000;
    my $value = 'x' x 1000;
    $two->signal('STOP');
    my $rss = $one->rss;
    my $bad = 0;
    for my $batch (0 .. $items / 1000 - 1) {
        $c->send(join '', map { "set key$_ 0 0 1000\r\n$value\r\n" }
            map { $batch * 1000 + $_ } 1 .. 1000);
        for (1 .. 1000) {
            my $line = $c->line;
            $bad++ if $line ne "STORED\r\n";
        }
    }
    is $bad, 0, "rep_timeout $timeout: $items times STORED";
    my $grown = ($one->rss - $rss) / 2**20;
    ok $grown < 80, sprintf 'grown by %.0f MiB: the items alone', $grown
        if !is_sanitized();
    my $cpu = $one->cpu;
    wait_for { 0 } 1.5;
    ok $one->cpu - $cpu < 0.5, 'no spinning';
    like $one->stats('replication')->{last_error},
        qr/\Athe peer was silent/, 'and it is told why' if $timeout == 1;
    $two->signal('CONT');
    ok(
        (
            wait_for {
                my $row = $two->stats;
                $row->{curr_items} == $items + 1
            }
            20
        ),
        'the peer has all of them'
    );
    ok((wait_for { linked($one) && linked($two) } 10), 'linked');
    is $two->client->get("key$_"), $value, "key$_" for 1, $items;
    $_->stop for $one, $two;
}
done_testing;
