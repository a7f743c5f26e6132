#!/usr/bin/perl
# What -vv prints for a session, beside Debian's memcached.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $stock = $ENV{STOCK} // '/usr/bin/memcached';
plan skip_all => "no memcached at $stock to compare with" if !-x $stock;

# Answers that 1.6.18 prints and 1.6.45 does not, as neither do we.
my $unsaid = qr/\A>N (?:NOREPLY )?(?:DELETED|NOT_FOUND|TOUCHED|RESET|\d+)\z/;

my @session = (
    "set a 5 0 1\r\nx\r\n",
    "get a b a\r\n",
    "gets a\r\n",
    "set a 0 0 1 noreply\r\ny\r\n",
    "add a 0 0 1\r\nz\r\n",
    "replace b 0 0 1\r\nz\r\n",
    "append a 0 0 1 noreply\r\nz\r\n",
    "delete a\r\n",
    "delete a\r\n",
    "set n 0 0 1\r\n1\r\n",
    "incr n 1\r\n",
    "incr n x\r\n",
    "decr n 1 noreply\r\n",
    "touch n 100\r\n",
    "touch n x\r\n",
    "gat 0 n\r\n",
    "gats 0 n absent\r\n",
    "cas n 0 0 1 1\r\nz\r\n",
    "cas absent 0 0 1 1\r\nz\r\n",
    "nonsense\r\n",
    "two words\r\n",
    "flush_all\r\n",
    "flush_all noreply\r\n",
    "verbosity 2\r\n",
    "version\r\n",
    "set big 0 0 2000000\r\n" . ('x' x 2_000_000) . "\r\n",
    "quit\r\n",
);

# Data without its line end, of which nothing is left over.
my @bad_data = ("set a 0 0 2\r\nabcd");

# What one connection leaves on stderr, with its descriptor as N.
sub echoed
{
    my ($mc, @requests) = @_;
    my $c = $mc->client;
    $c->send($_) for @requests;
    $c->shutdown_write;
    $c->read_all;
    my $all_closed = sub {
        my $opened = () = $mc->stderr =~ /^<\d+ new /gm;
        my $closed = () = $mc->stderr =~ /^<\d+ connection closed\.$/gm;
        return $opened > 1 && $closed == $opened;
    };
    ok((wait_for { $all_closed->() } 10), 'all connections are told closed');
    # The connection that found the daemon ready may be closed late.
    my ($fd, $text) = $mc->stderr =~ /.*^<(\d+) (new .*)/ms;
    return ('no new connection: ' . $mc->stderr) if !defined $fd;
    my @lines = map { s/\A([<>]?)$fd\b/$1N/r }
        grep { !/\A[<>]?(\d+)\b/ || $1 == $fd } split /\n/, "<$fd $text";
    s/expected \d+, got \d+/expected A, got B/ for @lines;
    s/VERSION [\d.]+/VERSION x/                for @lines;
    return grep { !/$unsaid/ } @lines;
}

my $ours   = start_memcached('-vv');
my $theirs = start_memcached({binary => $stock}, '-vv');
is_deeply [echoed($ours, @$_)], [echoed($theirs, @$_)], 'the same lines'
    for \@session, \@bad_data;

my $table = qr/^slab class +\d+: chunk size +\d+ perslab +\d+$/m;
like $ours->stderr, $table, 'the table of slab classes has the same form';
my $count = () = $ours->stderr =~ /$table/g;
cmp_ok $count, '>=', 20,  'a good many classes';
cmp_ok $count, '<=', 63,  'not more than stock can have';
like $ours->stderr, qr/^<\d+ server listening \(auto-negotiate\)$/m,
    'the listening line';
done_testing;
