#!/usr/bin/perl
# What the meta commands do otherwise than in Debian's memcached 1.6.18, and why.
# As 60-differences.t: a row whose halves no longer differ fails.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $stock = $ENV{STOCK} // '/usr/bin/memcached';
plan skip_all => "no memcached at $stock to compare with" if !-x $stock;

my $format = "CLIENT_ERROR bad command line format\r\n";
my $flag   = "CLIENT_ERROR invalid flag\r\n";
my $either = "CLIENT_ERROR invalid or duplicate flag\r\n";
my $twice  = "CLIENT_ERROR duplicate flag\r\n";
my $token  = "CLIENT_ERROR bad token in command line format\r\n";
my $long   = 'k' x 251;
my $many   = join ' ', qw(c f h k l s t v q u T1 R1 N1 P L O C1 D1 J1);

my @rows; # requests before it, request, 1.6.18, ours, why
my $why = '1.6.45 names a missing key';
push @rows, map { ['', "$_ \r\n", "ERROR\r\n", $format, $why] } qw(mg md ma);
$why = '1.6.45 asks first whether all words can be flags';
push @rows, ['', "mg k !\r\n", $flag, $format, $why],
    map { ['', "$_ k !\r\n", $either, $format, $why] } qw(md ma);
$why = '1.6.45 names what is wrong with flags of md';
push @rows, ['', "md k Z\r\n", $either, $flag, $why], ['', "md k c c\r\n", $either, $twice, $why],
    ['', "md k Cx\r\n", $either, $token, $why];
$why = '1.6.45 takes a lone M, and looks at its first byte alone';
my $length = "CLIENT_ERROR incorrect length for M token\r\n";
push @rows, ['', "md k M\r\n", $either, "NF\r\n", $why],
    ['', "mg k Mxy\r\n", $length, "EN\r\n", $why],
    ['', "ms k 1 MSET\r\nx\r\n", $length, "HD\r\n", $why],
    ['', "ms k 1 M\r\nx\r\n", $length,
        "CLIENT_ERROR invalid mode for ms M token\r\n", $why],
    ['', "ma k M\r\n", $either, "CLIENT_ERROR invalid mode for ma M token\r\n", $why];
$why = '1.6.45 tells the last mistake';
push @rows, ['', 'mg k Cx O' . 'o' x 32 . "\r\n", $token,
    "CLIENT_ERROR opaque token too long\r\n", $why];
$why = '1.6.45 has one limit for the number of flags';
push @rows, ['', "ma k $many\r\n", "CLIENT_ERROR options flags too long\r\n", $either, $why],
    ['', "ms k 1 $many\r\nx\r\n", "CLIENT_ERROR options flags too long\r\nERROR\r\n",
        "CLIENT_ERROR options flags are too long\r\n", "$why; the data is swallowed"];
$why = '1.6.45 swallows the data of a refused line';
push @rows, ['', "ms $long 1\r\nx\r\n", "${format}ERROR\r\n", $format, $why];
$why = '1.6.45 keeps 32 bits strictly';
push @rows, ['', "mg k F4294967296\r\n", "EN\r\n", $format, $why],
    ['', "mg k T2147483648\r\n", "EN\r\n", $token, $why];
$why = 'a lone minus is 0 in 1.6.45';
push @rows, ["ms k 1\r\nx\r\n", "mg k T- t\r\n", $token, "HD t-1\r\n", $why];

my $set = "ms k 3 F5 T900\r\nabc\r\n";
$why = '1.6.45 lets clients choose cas ids';
push @rows, map { [$set, "$_->[0]\r\n", $_->[1], $_->[2], $why] }
    ["ms k 1 E9 c\r\nx", $flag, "HD c9\r\n"], ['mg none N9 E9 c', $flag, "HD c9 W\r\n"],
    ['ma num N9 E9 c', $either, "HD c9\r\n"], ['md k I E9', $either, "HD\r\n"];
$why = '1.6.45 can empty an item';
push @rows, [$set, "md k x\r\nmg k s f\r\n", "${either}HD s3 f5\r\n",
    "HD\r\nHD s0 f0\r\n", $why];
$why = '1.6.45 tells the length of what it stored';
push @rows, [$set, "ms k 1 MA s\r\nd\r\n", "HD\r\n", "HD s4\r\n", $why];
$why = '1.6.45 appends to nothing when asked to';
push @rows, ['', "ms none 1 MA N9\r\nx\r\n", "NS\r\n", "HD\r\n", $why];
$why = '1.6.45 is quiet of numbers that it made as well';
push @rows, ['', "ma num N9 q\r\n", "HD\r\n", '', $why];

# What is answered to a request behind others.
sub answer
{
    my ($mc, $before, $request) = @_;
    my $c = $mc->client;
    $c->send("flush_all\r\n${before}mn\r\n");
    $c->read_to(qr/\AMN\r\n/);
    $c->send("${request}mn\r\n");
    return $c->read_to(qr/\AMN\r\n/) =~ s/MN\r\n\z//r;
}

my $ours   = start_memcached();
my $theirs = start_memcached({binary => $stock});
plan skip_all => "$stock is not the 1.6.18 this table is about"
    if $theirs->client->ask('version') ne 'VERSION 1.6.18';
for my $row (@rows) {
    my ($before, $request, $old, $new, $reason) = @$row;
    my $name = Client::shown($request, 30);
    Client::same_bytes(answer($theirs, $before, $request), $old, "$name at 1.6.18");
    Client::same_bytes(answer($ours, $before, $request), $new, "$name: $reason");
    isnt $old, $new, "$name differs";
}
done_testing;
