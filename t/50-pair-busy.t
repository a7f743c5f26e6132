#!/usr/bin/perl
# A peer that takes nothing for long, but is heard, is busy, not dead: the link
# stays, and the copy goes on when it reads again. That the kernel waits, too,
# longer than for a dead host, is shown by t/unit/check_replink.c.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(time);

use lib "$FindBin::Bin/lib";
use Memcached;
use Rogue;

plan skip_all => "built without replication" if !has_replication();

my $rep = free_port();
my $mc =
    start_memcached({port => free_port()}, '-X', "$rep:$rep", '-o', 'rep_timeout=1');
my $c = $mc->client;
$c->set("key$_", 'x' x 1_000_000) for 1 .. 12;    # more than kernels hold

my $p = Rogue->new($rep)->batch(resume());
my $s;
ok((wait_for { ($s = $mc->stats('replication'))->{bytes_sent} > 100_000 } 5),
    'a copy begins');

# Longer than would do were it silent.
my $end = time + 1.6;
my ($sent, $still) = (0, 0);
my $lives = wait_for {
    $p->batch(number('PING', int 1000 * time));
    $s     = $mc->stats('replication');
    $still = $sent == $s->{bytes_sent} ? $still + 1 : 0;
    $sent  = $s->{bytes_sent};
    $s->{link_status} ne 'copying' || time > $end
} 10;
ok $lives && $still > 10, 'nothing more is sent';
is $s->{link_status}, 'copying', 'it is linked';
is $s->{last_error},  'none',    'and has been';
ok $p->until_copied, 'it gets the rest';
done_testing;
