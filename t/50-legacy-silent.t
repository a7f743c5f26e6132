#!/usr/bin/perl
# repcached 2.x on the other side, played from a script: it dials and is silent.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

for my $allowed (0, 1) {
    my $port = free_port();
    my $new  = start_memcached({port => free_port()}, '-v', '-X',
        "$port:" . free_port(),
        $allowed ? ('-o', 'rep_legacy=127.0.0.1') : ());
    $new->client->set('k', 'value', 5);
    my $quiet = Client->new(port => $port);
    if (!$allowed) {
        $quiet->closes('a silent stranger gets nothing');
        next;
    }
    my $copy = $quiet->read_to(qr/\Amarugoto_end\r\n/);
    like $copy, qr/\Arepcached3 [^\n]*\r\nrep k 5 0 5 \d+\r\nvalue\r\nmarugoto_end\r\n\z/,
        'a silent dialler of rep_legacy= gets the copy';
    like $new->stderr,
        qr/: accept\n.*: marugoto start\n.*: marugoto 1\n.*: marugoto owari\n/s,
        'with the lines of 2.x';
    $quiet->send("rep theirs 0 0 1 77\r\ny\r\n");
    ok((wait_for { $new->client->get('theirs') } 5), 'its changes come in');
    $new->client->set('ours', 'z');
    like $quiet->read_to(qr/\Az\r\n/), qr/\Arep ours 0 0 1 \d+\r\nz\r\n\z/,
        'ours go out';
    is $new->client->get('theirs'), 'y', 'no echo changed anything';
}
done_testing;
