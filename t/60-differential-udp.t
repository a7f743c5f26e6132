#!/usr/bin/perl
# The same requests in datagrams to Debian's memcached and to ours.
#
# SEED, SESSIONS and ONLY: see compare_each in t/lib/Differential.pm.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Differential qw(compare_each normalise stock);
use DifferentialBinary qw(text_requests);
use Memcached;
use Udp;

my $stock  = stock();
my @port   = map { free_port() } 0, 1;
my @daemon = (start_memcached('-U', $port[0], '-t', 1),
    start_memcached({binary => $stock}, '-U', $port[1], '-t', 1));
my @udp = map { Udp->new(port => $_) } @port;

# A frame without content, where only 1.6.18 has one, tells nothing. What is no
# command ends the datagram here, without a word: 1.6.18 gets what is before it.
sub replies
{
    my ($u, $requests) = @_;
    return normalise(join '', map { "<\n$_>\n" } grep { length } $u->messages($requests));
}

compare_each('datagrams', 1200, 1200, sub {
    my $requests = text_requests();
    my $before   = $requests =~ s/^nonsense\r\n.*//msr;
    return (replies($udp[0], $requests), replies($udp[1], $before),
        Client::shown($requests, 300));
});
is_deeply [map { $_->problems } @udp], [], 'whole messages';
done_testing;
