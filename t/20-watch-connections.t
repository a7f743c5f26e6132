#!/usr/bin/perl
# watch connevents: who came, who went and why.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

sub bodies
{
    my ($w, $n) = @_;
    return map { ($w->line(10) // '') =~ s/\Ats=\S+ gid=\d+ (.*)\n\z/$1/r }
        1 .. $n;
}

my $mc = start_memcached('-t', 1, '-o', 'idle_timeout=2');
my $w  = $mc->client;
is $w->ask('watch connevents'), 'OK';

my $c    = $mc->client;
my $port = $c->sock->sockport;
my ($new) = bodies($w, 1);
my ($fd) = $new =~ /cfd=(\d+)\z/;
is $new, "type=conn_new rip=127.0.0.1 rport=$port transport=tcp cfd=$fd",
    'conn_new';
my $close = "type=conn_close rip=127.0.0.1 rport=$port transport=tcp reason";
$c->send("quit\r\n");
is +(bodies($w, 1))[0], "$close=normal cfd=$fd", 'quit';

$c = $mc->client;
$port = $c->sock->sockport;
$c->ask('mn');
$c->reset;
my (undef, $gone) = bodies($w, 2);
like $gone, qr/ rport=$port transport=tcp reason=error cfd=\d+\z/, 'reset';

$c = $mc->client;
$port = $c->sock->sockport;
undef $c;
(undef, $gone) = bodies($w, 2);
like $gone, qr/ rport=$port transport=tcp reason=normal cfd=\d+\z/, 'closed';

$c = $mc->client;
$port = $c->sock->sockport;
(undef, $gone) = bodies($w, 2);
like $gone, qr/ rport=$port transport=tcp reason=idle_timeout cfd=\d+\z/,
    'idle';
ok $c->closed, 'indeed';
ok !$w->eof, 'who watches is never idle';

my $local = start_memcached({unix => 1}, '-t', 1);
$w = $local->client;
is $w->ask('watch connevents'), 'OK';
$local->client;
my @got = map { s/cfd=\d+/cfd=N/r } bodies($w, 2);
is_deeply \@got,
    ['type=conn_new rip=unix rport=0 transport=local cfd=N',
    'type=conn_close rip=unix rport=0 transport=local reason=normal cfd=N'],
    'a UNIX socket';

SKIP: {
    my $six = eval { start_memcached({host => '::1'}, '-t', 1) };
    skip 'no IPv6 here', 1 if !$six;
    $w = $six->client;
    is $w->ask('watch connevents'), 'OK';
    $six->client;
    like +(bodies($w, 1))[0], qr/\Atype=conn_new rip=::1 rport=\d+ /, 'IPv6';
}
done_testing;
