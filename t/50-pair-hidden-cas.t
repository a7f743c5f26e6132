#!/usr/bin/perl
# A node that shows its clients no cas (-C) keeps those of others, and gives them
# back.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;

plan skip_all => "built without replication" if !has_replication();

my @rep = map { free_port() } 0 .. 1;
my @mc  = map {
    spawn_memcached({port => free_port()},
        '-X', $rep[$_], '-x', "127.0.0.1:$rep[1 - $_]", $_ ? '-C' : ())
} 0 .. 1;
$_->wait_ready(20) or die $_->stderr for @mc;
ok((wait_for { in_sync(@mc) } 10), 'linked');

my $c = $mc[0]->client;
is $c->ask("ms chosen 1 E5\r\nx"), 'HD', 'a cas of a client';
is $c->set('drawn', 'x'), 'STORED', 'one of the node';
my ($drawn) = $c->ask('mg drawn c') =~ /c(\d+)/;
ok((wait_for { in_sync(@mc) } 10), 'both are known there');
my $blind = $mc[1]->client;
is $blind->ask('mg chosen c'), 'HD c0', 'and not shown';
is $blind->ask("mg $_ T500"), 'HD', 'ends sooner' for qw(chosen drawn);
is $blind->ask('md chosen x'), 'HD', 'is emptied';
ok((wait_for { in_sync(@mc) } 10), 'which the other hears');
is $c->ask('mg chosen c s'), 'HD c5 s0',    'with the chosen cas';
is $c->ask('mg drawn c'),    "HD c$drawn", 'and the drawn one';

$mc[0]->kill_hard;
$mc[0]->restart;
ok((wait_for { in_sync(@mc) } 10), 'linked again, with what the other kept');
$c = $mc[0]->client;
is $c->ask('mg chosen c'), 'HD c5',       'the chosen one';
is $c->ask('mg drawn c'),  "HD c$drawn", 'and the drawn one';
done_testing;
