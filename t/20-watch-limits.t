#!/usr/bin/perl
# watch: words, refusals, limits.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached();
my $c  = $mc->client;

for my $words ('foo', 'fetchers foo', 'fetcherss', 'Fetchers') {
    is $c->ask("watch $words"), 'ERROR', "watch $words";
}
$c->says("mn\r\nwatch\r\n",
    "MN\r\nERROR cannot pipeline other commands before watch\r\n",
    'not behind a reply that is not sent');
is $c->set('a', 'x'), 'STORED';
is $mc->stats->{log_watchers}, 0, 'nobody watches';

# Words may be cut short; the streams that never say anything are taken.
my @watchers;
for my $words ('', 'f', 'mut fet', 'rawcmds', 'proxy', 'proxyevents proxyuser',
    'rawcmds evictions fetchers mutations sysevents connevents deletions')
{
    my $w = $mc->client;
    is $w->ask("watch $words"), 'OK', "watch $words";
    push @watchers, $w;
}
my $conns = $mc->stats('conns');
is scalar(grep { /\Aconn_watch\z/ } values %$conns), 7, 'their state';
is $c->get('a'), 'x';
like $watchers[0]->line, qr/ type=item_get key=a /, 'fetchers without a word';
like $watchers[1]->line, qr/ type=item_get key=a /, 'f';
is $watchers[3]->line(0.01), undef, "rawcmds are never told";

# What a watcher says is not heard.
$watchers[1]->send("get a\r\nquit\r\n" x 1000);
is $c->get('b'), undef;
like $watchers[1]->line, qr/ type=item_get key=b /, 'it goes on watching';

# Twenty may watch.
while (@watchers < 20) {
    my $w = $mc->client;
    is $w->ask('watch mutations'), 'OK';
    push @watchers, $w;
}
is $c->ask('watch'), 'WATCHER_TOO_MANY log watcher limit reached';
is $c->get('a'), 'x', 'the connection goes on';
is $mc->stats->{log_watchers}, 20;
undef @watchers;
ok((wait_for { $mc->stats->{log_watchers} == 0 } 10), 'all are gone');

my $off = start_memcached('-W');
is $off->client->ask('watch'), 'CLIENT_ERROR watch commands not allowed', '-W';
my $sizes = start_memcached('-o',
    'watcher_logbuf_size=16,worker_logbuf_size=8')->stats('settings');
is $sizes->{watcher_logbuf_size}, 16384;
is $sizes->{worker_logbuf_size},  8192;
for my $name (qw(watcher_logbuf_size worker_logbuf_size)) {
    my ($exit, undef, $err) = run_binary('-o', $name);
    is $err, "Missing $name argument\n", "-o $name";
    ($exit, undef, $err) = run_binary('-o', "$name=x");
    is $err, "could not parse argument to $name\n", "-o $name=x";
}
done_testing;
