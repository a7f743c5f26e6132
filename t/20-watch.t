#!/usr/bin/perl
# watch: the lines of every stream. No crawl finds first what was flushed.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached('-t', 1, '-o', 'no_lru_crawler');
my $w  = $mc->client;
my $c  = $mc->client;
$c->ask('mn');

sub lines
{
    my (@want) = @_;
    for my $want (@want) {
        my $line = $w->line(10) // '';
        my ($body) = $line =~ /\Ats=\d+\.\d+ gid=\d+ (.*)\n\z/;
        like $body // $line, qr/\A$want\z/, $want;
    }
    return;
}

is $w->ask('watch fetchers mutations deletions'), 'OK';
is $mc->stats->{log_watchers}, 1, 'log_watchers';
my $absent = 'clsid=0 cfd=\d+ size=0';
my $here   = 'clsid=[1-9]\d* cfd=\d+';

my @cases = (
    ["get a\r\n", "END\r\n", "type=item_get key=a status=not_found $absent"],
    ["set a 5 0 3\r\nabc\r\n", "STORED\r\n",
        "type=item_get key=a status=not_found $absent",
        "type=item_store key=a status=stored cmd=set ttl=0 $here size=3"],
    ["get a b\r\n", "VALUE a 5 3\r\nabc\r\nEND\r\n",
        "type=item_get key=a status=found $here size=3",
        "type=item_get key=b status=not_found $absent"],
    ["add a 0 100 1\r\nx\r\n", "NOT_STORED\r\n",
        "type=item_get key=a status=found $here size=3",
        "type=item_store key=a status=not_stored cmd=add ttl=100 $here size=1"],
    ["append a 0 0 2\r\nxy\r\n", "STORED\r\n",
        "type=item_get key=a status=found $here size=3",
        "type=item_store key=a status=stored cmd=append ttl=0 $here size=5"],
    ["cas a 0 0 1 1\r\nx\r\n", "EXISTS\r\n",
        "type=item_get key=a status=found $here size=5",
        "type=item_store key=a status=exists cmd=cas ttl=0 $here size=1"],
    ["touch a 10\r\n", "TOUCHED\r\n",
        "type=item_get key=a status=found $here size=5"],
    ["gat 20 a\r\n", "VALUE a 5 5\r\nabcxy\r\nEND\r\n",
        "type=item_get key=a status=found $here size=5"],
    ["delete a\r\n", "DELETED\r\n",
        "type=item_get key=a status=found $here size=5",
        'type=deleted key=a cmd=delete clsid=\d+ size=5'],
    ["delete a\r\n", "NOT_FOUND\r\n",
        "type=item_get key=a status=not_found $absent"],
    ["set n 0 -1 1\r\n9\r\n", "STORED\r\n",
        "type=item_get key=n status=not_found $absent",
        "type=item_store key=n status=stored cmd=set ttl=42949672\\d\\d $here "
        . 'size=1'],
    ["incr n 1\r\n", "NOT_FOUND\r\n",
        'type=item_get key=n status=expired clsid=0 cfd=\d+ size=0'],
    ["set %~\x01/ 0 0 1 noreply\r\nx\r\nflush_all\r\nget %~\x01/\r\n",
        "OK\r\nEND\r\n",
        "type=item_get key=%25~%01%2F status=not_found $absent",
        "type=item_store key=%25~%01%2F status=stored cmd=set ttl=0 $here size=1",
        'type=item_get key=%25~%01%2F status=flushed clsid=0 cfd=\d+ size=0'],
    ["set bad 0 0 1\r\nxy\r\n", "CLIENT_ERROR bad data chunk\r\n"],
);
for my $case (@cases) {
    my ($bytes, $answer, @lines) = @$case;
    $c = $mc->client if $c->eof;
    $c->says($bytes, $answer);
    lines(@lines);
}

# A value that comes in pieces, and one that is too large.
$c = $mc->client;
is $c->set('big', 'x' x 600_000), 'STORED';
lines("type=item_get key=big status=not_found $absent",
    "type=item_store key=big status=stored cmd=set ttl=0 $here size=600000");
is $c->set('huge', 'x' x 2_000_000),
    'SERVER_ERROR object too large for cache';
lines('type=item_store key=huge status=too_large cmd=set ttl=0 .*');
my $stats = $mc->stats;
cmp_ok $stats->{log_worker_written}, '>', 20, 'log_worker_written';
is $stats->{log_watcher_sent}, $stats->{log_worker_written}, 'and sent';

# An evicted item.
my $small = start_memcached('-m', 8, '-t', 1);
$w = $small->client;
$c = $small->client;
is $w->ask('watch evictions'), 'OK';
$c->send(join '', map { sprintf "set k%06d 0 0 4000 noreply\r\n%s\r\n", $_,
    'v' x 4000 } 1 .. 3000);
lines('type=eviction key=k\d{6} fetch=no ttl=-1 la=\d+ clsid=\d+ size=4000');
done_testing;
