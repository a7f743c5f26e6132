#!/usr/bin/perl
# No byte of a refused value runs as a command: where a value ends at a place
# that is not known, or not where its line said, so does the connection.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $path = scratch() . '/socket';
my %on   = (tcp => start_memcached(), unix => start_memcached({path => $path}));

my $format = "CLIENT_ERROR bad command line format\r\n";
my $chunk  = "CLIENT_ERROR bad data chunk\r\n";
my $large  = "SERVER_ERROR object too large for cache\r\n";
my $kept   = "VALUE kept 0 4\r\nkept\r\nEND\r\n";
my $long   = 'k' x 251;

# What somebody may write into a value, in the hope that it runs.
my $evil = "flush_all\r\nset evil 0 0 1\r\nx\r\ndelete kept noreply\r\n";

# What begins a request whose value is $evil, and its answer.
my @cases = (
    map({ ["$_\r\n", $format] } map { ("set $_", "set $_ noreply") } 'k 0 0 abc',
        'k 0 0 -1', 'k 0 0 2147483646', 'k 0 0 99999999999', 'k 0 0 1x', 'k 0 0',
        'k', ' 0 0 50'),
    map({ ["$_ k 0 0 abc\r\n", $format] } qw(add replace append prepend cas)),
    map({ ["$_ k 0 0 3 1\r\nabcdefgh\r\n", $chunk] }
        qw(set add replace append prepend cas)),
    ["set k 0 0 3 noreply\r\nabcdefgh\r\n", ''],
    ["set k 0 0 0\r\n",                     $chunk],
    ["set k 0 0 8\r\nshort\r\n",            $chunk],
    ["set k 0 0 3\r\nabc\n\n",              $chunk],
    ["set k 0 0 70000\r\n" . 'v' x 70_001,  $chunk],
    ["add k 0 0 2000000\r\n" . 'v' x 2_000_001, $large],
    ["set k x 0 3\r\nabcdefgh\r\n",         $format],
    ["set k 0 x 3\r\nabcdefgh\r\n",         $format],
    ["cas k 0 0 3 x\r\nabcdefgh\r\n",       $format],
    ["set k with blanks 0 0 3\r\n",         $format],
    ["set $long 0 0 3\r\nabcdefgh\r\n",     $format],
    map({ ["ms k$_\r\n", $format] } ' abc', '', ' -1'),
    ["ms k 3 !\r\nabcdefgh\r\n",            $format],
    ["ms k 3\r\nabcdefgh\r\n",              $chunk],
    ["ms k 3 q\r\nabcdefgh\r\n",            $chunk],
    ["ms k 70000\r\n" . 'v' x 70_001,       $chunk],
    ["ms k 2000000 q\r\n" . 'v' x 2_000_001, $large],
    ["ms k 3 Z\r\nabcdefgh\r\n",            "CLIENT_ERROR invalid flag\r\n"],
);
for my $kind (sort keys %on) {
    my $mc = $on{$kind};
    is $mc->client->set('kept', 'kept'), 'STORED', $kind;
    for my $case (@cases) {
        my ($begin, $answer) = @$case;
        my $name = "$kind: " . Client::shown($begin, 30);
        $mc->client->ends_with($begin . $evil, $answer, "$name, one piece");
        $mc->client->ends_with("get kept\r\n$begin$evil", $kept . $answer,
            "$name, behind a request");
        my $slow = $mc->client;
        my $tail = length $begin < 1000 ? $begin : substr $begin, -500;
        $slow->send(substr $begin, 0, -length $tail);
        $slow->send($_) for split //, $tail . $evil;
        $slow->ends_with('', $answer, "$name, byte by byte");
    }
    my $binary = $mc->client; # which speaks text already
    $binary->says("mn\r\n", "MN\r\n");
    $binary->send("\x80\x01\0\1\x08" . "\0" x 19 . "\r\n$evil");
    $binary->closes("$kind: a binary request");
    $mc->client->says("get kept evil\r\n", $kept, "$kind: nothing ran");
    is $mc->stats->{cmd_flush}, 0, "$kind: not even in part";
}

# The answer arrives though the client writes on and on before it reads, and
# though answers wait for the client: here 30 MB.
for my $kind (sort keys %on) {
    my $busy = $on{$kind}->client;
    my $more = "set k 0 0 abc\r\n" . $evil x 100_000;
    is $busy->send_only($more), length $more, "$kind: all of it is read";
    $busy->ends_with('', $format, "$kind: then the answer, and no reset");

    my $big = 'b' x 100_000;
    is $on{$kind}->client->set('big', $big), 'STORED';
    my $late = $on{$kind}->client;
    $late->send_only("get big\r\n" x 300 . "set k 0 0 abc\r\n" . $evil x 2000);
    $late->ends_with('', "VALUE big 0 100000\r\n$big\r\nEND\r\n" x 300 . $format,
        "$kind: behind answers that had to wait");
}

# Who stays, silent or not, is not waited for.
my $mc = $on{tcp};
my ($silent, $chatty) = map { $mc->client } 1, 2;
$_->ends_with("set k 0 0 abc\r\n", $format) for $silent, $chatty;
ok((wait_for { $chatty->send_only('x'); $mc->stats->{curr_connections} == 1 }
        20), 'both are gone');
$_->client->says("get kept evil\r\n", $kept, 'still nothing ran') for values %on;
done_testing;
