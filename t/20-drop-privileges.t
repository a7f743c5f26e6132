#!/usr/bin/perl
# -o drop_privileges: all goes on as before, and every thread is bound.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => 'not built with seccomp'
    if (run_binary('-h'))[1] !~ /^   - drop_privileges:/m;
plan skip_all => 'a sanitizer makes calls of its own' if is_sanitized();

# Threads and whether each has a filter.
sub filtered
{
    my ($mc) = @_;
    my ($on, $all) = (0, 0);
    for my $path (glob "/proc/$mc->{pid}/task/*/status") {
        open my $fh, '<', $path or next;
        my ($mode) = grep { s/^Seccomp:\s+// } readline $fh;
        $all++;
        $on++ if ($mode // 0) == 2;
    }
    return "$on of $all";
}

sub exercise
{
    my ($mc, $name) = @_;
    my $c = $mc->client;
    is $c->set('a', 'x' x 300_000), 'STORED', "$name: a large value";
    is length $c->get('a'), 300_000, 'is read back';
    $c->says("mn\r\n", "MN\r\n", 'meta');
    my $binary = $mc->client;
    $binary->send("\x80\x0a" . "\0" x 22);
    is $binary->read(24), "\x81\x0a" . "\0" x 22, 'binary';
    for my $ask ('stats', 'stats conns', 'stats slabs', 'stats settings') {
        $c->send("$ask\r\n");
        like $c->read_to(qr/\AEND\r\n/), qr/\ASTAT /, $ask;
    }
    $c->says("flush_all\r\n", "OK\r\n");
    for my $ask ('lru_crawler disable', 'lru_crawler enable', 'slabs automove 2') {
        $c->says("$ask\r\n", "OK\r\n"); # by threads of their own
    }
    my @many = map { $mc->client } 1 .. 20;
    is scalar(grep { ($_->ask('version') // '') =~ /^VERSION/ } @many), 20,
        'connections';
    return;
}

my $mc = start_memcached('-vv', '-t', 3, '-A', '-P', scratch() . '/pid', '-o',
    'drop_privileges,idle_timeout=100');
exercise($mc, 'one node');
is $mc->stats('settings')->{drop_privileges}, 'yes', 'stats settings';
like filtered($mc), qr/\A(\d+) of \1\z/, 'every thread is bound';
$mc->may_end;
$mc->client->send("shutdown graceful\r\n");
is $mc->wait_exit, 0, 'shutdown';
like $mc->stderr, qr/^all background threads stopped$/m, 'is orderly';
is start_memcached()->stats('settings')->{drop_privileges}, 'no', 'by default';

SKIP: {
    skip 'no replication in this build', 1 if !has_replication();
    my @drop = ('-o', 'drop_privileges');
    my ($a, $b) = start_pair(a => \@drop, b => \@drop);
    exercise($a, 'a pair');
    is $a->client->set("k$_", $_), 'STORED' for 1, 2;
    ok wait_for { ($b->client->get('k2') // '') eq 2 } 10;
    $b->stop;
    $b->restart;
    ok((wait_for { linked($a) } 20), 'it links again');
    ok((wait_for { ($b->client->get('k1') // '') eq 1 } 20), 'with its copy');
    like filtered($b), qr/\A(\d+) of \1\z/, 'every thread is bound';
    my $alone = start_memcached('-v', @drop, '-x', 'localhost', '-x',
        'no-such-host.invalid', '-X', free_port() . ':' . free_port());
    ok((wait_for {
        $alone->stderr =~ /can't resolve no-such-host/
            && $alone->stderr =~ /can't connect/
    } 20), 'names are resolved, and dialled');
    is $alone->client->ask('get a'), 'END', 'and it serves';
}
done_testing;
