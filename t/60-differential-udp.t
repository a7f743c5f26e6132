#!/usr/bin/perl
# The same requests in datagrams to Debian's memcached and to ours.
#
# SEED, SESSIONS and ONLY: see compare_each in t/lib/Differential.pm.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Differential qw(compare_each normalise normalise_packets stock);
use DifferentialBinary qw(binary_session text_requests);
use DifferentialText qw(pick);
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

compare_each('datagrams', 1200, 1700, sub {
    my $requests = text_requests();
    my $before   = $requests =~ s/^nonsense\r\n.*//msr;
    return (replies($udp[0], $requests), replies($udp[1], $before),
        Client::shown($requests, 300));
});
# Frames of all kinds. What is a part of a request is none.
compare_each('frames', 100, 1700, sub {
    my %frame = map { $_->[0] => pick(@{$_->[1]}) }
        [seq => [0, 0, 1, 2, 65_535]], [count => [0, 1, 1, 1, 2, 65_535]], [reserved => [0, 7, 65_535]];
    my $request = pick("version\r\n", "mn\r\n", "get k1\r\n", '');
    return (map({ normalise($_->ask($request, %frame)) } @udp), join(' ', %frame), $request);
});

# A packet in a datagram: what is behind an error 1.6.18 loses at times.
compare_each('datagrams of packets', 400, 1700, sub {
    my ($packet) = grep { !ref $_ && length $_ < 20_000 && length $_ == 24 + unpack 'x8 N', $_ }
        @{binary_session($_[0])};
    $packet //= '';
    return (map({ normalise_packets(join '', $_->messages($packet)) } @udp), Client::shown($packet, 300));
});

is_deeply [map { $_->problems } @udp], [], 'whole messages';
done_testing;
