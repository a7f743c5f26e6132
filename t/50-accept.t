#!/usr/bin/perl
# A node that has run out of descriptors takes its peer once it has some again.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

my @rep = (free_port(), free_port());
my $mc  = start_memcached({port => free_port()}, '-t', 1, '-c', 40,
    '-o', 'no_maxconns_fast', '-X', "$rep[0]:$rep[1]");

# None is free: the lowest that is not in use is beyond the limit.
sub exhausted
{
    open my $fh, '<', "/proc/$mc->{pid}/limits" or return 0;
    my ($limit) = map { /^Max open files\s+(\d+)/ ? $1 : () } readline $fh;
    return !grep { !-l "/proc/$mc->{pid}/fd/$_" } 0 .. $limit - 1;
}

# Clients until nothing more is accepted.
my @clients;
wait_for {
    push @clients, $mc->try_client(nowait => 1) // ();
    exhausted()
}
10;
ok exhausted(), 'no descriptor is left';

my $peer = spawn_memcached({port => free_port()}, '-v', '-x', '127.0.0.1',
    '-X', "$rep[1]:$rep[0]", '-o', 'rep_timeout=1');
ok((wait_for { $peer->stderr =~ /: connect / } 10), 'the peer dials');
my $before = $mc->cpu;
ok((wait_for { $peer->try_client } 10), 'and serves without an answer');
ok $mc->cpu - $before < 0.5, 'no spinning meanwhile';
ok exhausted(), 'still none';
$_->close for @clients;
my $ok = wait_for { my $c = $mc->try_client; $c && linked($mc) } 20;
ok $ok, 'linked, once there are descriptors';
ok((wait_for { linked($peer) } 10), 'on both sides');
done_testing;
