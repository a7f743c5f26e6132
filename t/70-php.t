#!/usr/bin/perl
# php-memcached against the daemon: both protocols, replicas, and the session
# handler, whose lock must let nobody's change be lost.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Clients;
use Memcached;

my $php = '/usr/bin/php';
plan skip_all => 'php-memcached is not installed'
    if !runs($php, '-r', 'exit(extension_loaded("memcached") ? 0 : 1);');

my ($one, $two) = map { start_memcached() } 1 .. 2;
client_tests([$php], 'php_client.php', $one->port, $two->port);

# Several processes at once, each in the same session, as of one page's requests.
sub count_together
{
    my ($binary, $path) = @_;
    my ($processes, $times) = (4, 25);
    my @pipes = map {
        open my $out, '-|', 'timeout', 60, $php,
            "$FindBin::Bin/clients/php_session.php", $path, "together$binary",
            $times, $binary
            or die "php: $!";
        $out;
    } 1 .. $processes;
    my @counts = map { scalar readline($_) // 'nothing' } @pipes;
    close $_ for @pipes;
    chomp @counts;
    my ($most) = sort { $b <=> $a } @counts;
    is $most, $processes * $times, "sessions, binary $binary: every change counts"
        or diag "@counts";
    return;
}

count_together($_, '127.0.0.1:' . $one->port) for 0, 1;
$_->stop for $one, $two;

# A session lives on with the peer.
SKIP: {
    skip 'built without replication', 2 if !has_replication();
    my @mc  = start_pair();
    my $run = sub {
        my ($mc) = @_;
        my $script = "$FindBin::Bin/clients/php_session.php";
        return qx(timeout 60 $php $script 127.0.0.1:@{[$mc->port]} moves 1);
    };
    is $run->($mc[0]), "1\n", 'a session begins on one node';
    wait_for { $mc[1]->client->get('memc.sess.key.moves') } 5;
    $mc[0]->kill_hard;
    is $run->($mc[1]), "2\n", 'and goes on at the other when that is gone';
}
done_testing;
