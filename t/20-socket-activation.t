#!/usr/bin/perl
# Sockets that a service manager has opened, and what it is told.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Activate;
use Memcached;

# What the manager heard of its daemon, until the last line comes.
sub told
{
    my ($manager, $last) = @_;
    wait_for { grep { $_ eq $last } @{$manager->heard} } 20;
    return $manager->heard;
}

my ($one, $two) = (free_port(), free_port());
my $dir     = scratch();
my $manager = Activate->new;
my $mc      = start_memcached({
        under => $manager->under("a=127.0.0.1:$one", "b=127.0.0.2:$two",
            "c=$dir/sock"),
        port => $one
    }, '-p', free_port());
is $mc->client->set('a', 'x'), 'STORED', 'a socket that was handed over';
is(Client->new(host => '127.0.0.2', port => $two)->get('a'), 'x', 'another');
is(Client->new(path => "$dir/sock")->get('a'), 'x', 'a unix socket');
is_deeply [sort map { "@$_" } $mc->ports],
    [sort "TCP INET $one", "TCP INET $two"], 'no other port is opened';
is_deeply told($manager, 'STATUS=Serving'), ['READY=1', 'STATUS=Serving'],
    'the manager hears that it serves';
$mc->signal('HUP');
ok((wait_for { @{$manager->heard} >= 5 } 20), 'and that it reads files again');
like join(' ', @{$manager->heard}),
    qr/ RELOADING=1 MONOTONIC_USEC=\d+ READY=1\z/, 'from when to when';
$mc->stop;
is told($manager, 'STOPPING=1')->[-1], 'STOPPING=1', 'and that it stops';

my $abstract = Activate->new(abstract => 1);
start_memcached({under => $abstract->under});
is told($abstract, 'READY=1')->[0], 'READY=1',
    'a name in no file system; no sockets: those of -p';

my $wrong = spawn_memcached({under => $manager->under("a=!127.0.0.1:$two")})
    ->may_end;
is $wrong->wait_exit, 71, 'a socket of another kind is refused';
like $wrong->stderr, qr/^descriptor 3 of LISTEN_FDS is no listening stream/m,
    'by number';

my $foreign = start_memcached({
    under => ['env', 'LISTEN_PID=1', 'LISTEN_FDS=9'], port => free_port()});
is $foreign->client->ask('get a'), 'END', 'sockets for another process';

SKIP: {
    skip 'no replication in this build', 5 if !has_replication();
    my $rep  = free_port();
    my $boss = Activate->new;
    my $a    = start_memcached({
        under => $boss->under("replication=127.0.0.1:$rep"),
        port => free_port()}, '-vv');
    ok((wait_for { $a->stderr =~ /^<3 server listening \(replication\)$/m } 20),
        'the replication port is known by its name');
    my $late = Activate->new;
    my $b    = start_memcached({under => $late->under, port => free_port()},
        '-x', '127.0.0.1', '-X', free_port() . ":$rep");
    ok((wait_for { linked($a) && linked($b) } 20), 'a peer links there');
    my $said = told($late, 'READY=1');
    is $said->[0], 'STATUS=Waiting for the copy of a peer', 'first it waits';
    is $said->[1], 'READY=1', 'ready is who serves';
    is $a->client->set('k', 'v'), 'STORED', 'the client port is that of -p';
}
done_testing;
