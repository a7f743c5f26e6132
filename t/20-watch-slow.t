#!/usr/bin/perl
# watch: one that does not read costs bounded memory, stops nobody, and hears
# how much it missed.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc   = start_memcached('-t', 2, '-o', 'watcher_logbuf_size=64');
my $c    = $mc->client;
my $slow = $mc->client(rcvbuf => 4096);
my $fast = $mc->client;
is $slow->ask('watch fetchers'), 'OK';
is $fast->ask('watch fetchers'), 'OK';
my $keys   = join ' ', map { ("k" x 200) . $_ } 1 .. 50;
my $before = $mc->rss;
my ($heard, $skipped) = (0, 0);
my $asked = 0;

sub listen_to_fast
{
    while (defined(my $line = $fast->line(0.002))) {
        $skipped += $1 if $line =~ /\Askipped=(\d+)\n\z/;
        $heard++ if $line =~ / type=item_get /;
    }
    return;
}

for (1 .. 150) {
    $c->says("get $keys\r\nget $keys\r\n", "END\r\nEND\r\n") || last;
    $asked += 100;
    listen_to_fast();
}
ok((wait_for { listen_to_fast(); $heard + $skipped == $asked } 20),
    'who reads hears all, or how much it missed')
    or diag "heard $heard skipped $skipped asked $asked";
cmp_ok $mc->rss - $before, '<', 10_000_000, 'memory stays bounded'
    if !is_sanitized;

my $stats = $mc->stats;
is $stats->{log_worker_written} + $stats->{log_worker_dropped}, $asked,
    'all were told';
cmp_ok $stats->{log_watcher_skipped}, '>', 0, 'some not to the slow one';
is $stats->{log_watcher_sent} + $stats->{log_watcher_skipped}, 2 * $asked,
    'each line is sent or skipped';

# It reads at last: whole lines, then the count of what it missed.
my $bad   = 0;
my $lines = 0;
my $missed;
$c->ask('get after');
while (defined(my $line = $slow->line(5))) {
    if ($line =~ /\Askipped=(\d+)\n\z/) {
        $missed += $1;
    } elsif ($line =~ /\Ats=\d+\.\d+ gid=\d+ type=item_get key=\S+ .*\n\z/) {
        $lines++;
    } else {
        $bad++;
    }
    last if $line =~ /key=after /;
    $c->ask('get after') if $lines % 1000 == 0;
}
is $bad, 0, 'no line is torn';
cmp_ok $missed, '>', 0, 'skipped=';
is $slow->eof, 0, 'it is still there';
$mc->stop;
done_testing;
