#!/usr/bin/perl
# watch over TLS, and what it tells of handshakes that fail.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Certs;
use Memcached;

my $ca      = Certs->new;
my $mc      = tls_memcached($ca);
my $watcher = tls_client($mc, ca => $ca) or die $@;
is $watcher->ask('watch connevents mutations'), 'OK', 'watch';

my $plain = $mc->client;
$plain->send("get a\r\n");
my $seen = $watcher->read_to(qr/ type=conntlserr /);
like $seen, qr/ type=conntlserr fd=\d+ msg=\S.*\n\z/, 'no handshake is told';

my $c = tls_client($mc, ca => $ca) or die $@;
is $c->ask("set a 0 0 1\r\nx"), 'STORED', 'another goes on';
like $watcher->read_to(qr/ type=item_store /), qr/ key=a status=stored cmd=set /,
    'whose change is told';
done_testing;
