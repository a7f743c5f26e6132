#!/usr/bin/perl
# -o drop_privileges with TLS: certificates are read again, links are made.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Certs;
use Memcached;

plan skip_all => 'not built with seccomp'
    if (run_binary('-h'))[1] !~ /^   - drop_privileges:/m;
plan skip_all => 'a sanitizer makes calls of its own' if is_sanitized();

my $ca = Certs->new;
my $mc = tls_memcached($ca, '-o', 'drop_privileges');
my $c  = tls_client($mc, ca => $ca) or die $@;
is $c->set('a', 'x' x 300_000), 'STORED', 'a large value';
is length $c->get('a'), 300_000, 'is read back';
is $c->ask('refresh_certs'), 'OK', 'a worker reads certificates again';
$mc->signal('HUP');
ok((wait_for {
    my $new = tls_client($mc, ca => $ca);
    $new && $new->ask('mn') eq 'MN';
} 10), 'so does main');
is $c->ask('mn'), 'MN', 'all goes on';

my $users = scratch_file('users', "u:p\n");
my $auth  = spawn_memcached('-Y', $users, '-o', 'drop_privileges');
my $in;
wait_for { $auth->alive && ($in = $auth->try_client) } 20 or die $auth->stderr;
scratch_file('users', "u:new\n");
$auth->signal('HUP');
ok((wait_for {
    my $new = $auth->client;
    $new->ask("set x 0 0 5\r\nu new") eq 'STORED';
} 10), 'the file of -Y is read again');

SKIP: {
    skip 'no replication in this build', 2 if !has_replication();
    my @args = ('-o', 'drop_privileges,rep_tls,' . $ca->options('node'));
    my ($a, $b) = start_pair(a => \@args, b => \@args);
    is $a->client->set('k', 'v'), 'STORED', 'a pair with TLS';
    ok((wait_for { ($b->client->get('k') // '') eq 'v' } 10), 'agrees');
}
done_testing;
