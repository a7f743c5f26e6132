#!/usr/bin/perl
# Where repcached 2.x is not wanted it is no peer; and serving early.

use strict;
use warnings;

use FindBin;
use IO::Socket::INET;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

my $file = scratch() . '/secret';
open my $fh, '>', $file or die "$file: $!";
print $fh '0123456789abcdef';
close $fh;
chmod 0600, $file or die "$file: $!";

for my $option ('rep_legacy=off', "rep_secret_file=$file") {
    my $old = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1',
        LocalPort => free_port(),
        Listen    => 5,
        ReuseAddr => 1
    ) or die "$!";
    my $port = free_port();
    my $mc   = spawn_memcached({port => free_port()}, '-x', '127.0.0.1', '-X',
        "$port:" . $old->sockport, '-o', "$option,rep_timeout=1");
    my $link = $old->accept;
    ok defined readline($link), 'it dials and says hello';
    syswrite $link, "rep stale 0 0 1 1\r\nx\r\nmarugoto_end\r\n";
    is readline($link), undef, "$option: repcached 2 is not believed";
    ok((wait_for { $mc->try_client } 10), 'it serves without its copy');
    is $mc->client->get('stale'), undef, 'of which nothing is stored';
    my $quiet = Client->new(port => $port);
    ok $quiet, 'the address of -x dials in';
    $quiet->closes('and is not believed because it is silent');
    $mc->stop;
}

# Not waiting for the copy is as asked.
my $relay = Relay->new(to => free_port());
$relay->stall;
my $early = spawn_memcached({port => free_port()}, '-x', '127.0.0.1', '-X',
    free_port() . ':' . $relay->port, '-o', 'rep_serve_early,rep_timeout=60');
ok((wait_for { $early->try_client } 10), 'rep_serve_early: open at once');
ok((wait_for { $early->stats('replication')->{link_status} eq 'dialing' } 10),
    'and dialling on');
done_testing;
