#!/usr/bin/perl
# memcached-tool, which Debian ships with memcached.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $tool = '/usr/share/memcached/scripts/memcached-tool';
plan skip_all => "$tool (memcached) is not installed" if !-r $tool;

my $mc = start_memcached('-o', 'track_sizes');
my $c  = $mc->client;
is $c->set('one', 'first',  7), 'STORED';
is $c->set('two', 'second', 0, 1000), 'STORED';
is $c->set('%/',  'third'), 'STORED';

sub tool
{
    my (@args) = @_;
    my $out = qx($^X $tool 127.0.0.1:@{[$mc->port]} @args 2>/dev/null);
    is $?, 0, "memcached-tool @args";
    return $out;
}

my @rows = split /\n/, tool('display');
like $rows[0], qr/\A +# +Item_Size +Max_age +Pages +Count /, 'a heading';
cmp_ok scalar @rows, '>', 1, 'and rows';
my $count = 0;
for my $row (@rows[1 .. $#rows]) {
    like $row, qr/\A +\d+ +[\d.]+[BK] +\d+s +1 +\d+ +(?:yes|no)(?: +0){3}\z/,
        'a class';
    $count += (split ' ', $row)[4];
}
is $count, 3, 'all items are counted';
like tool('stats'), qr/^ +curr_items +3\s*$/m, "stats";
like tool('settings'), qr/^ +maxbytes +67108864\s*$/m, "settings";
my ($sizes, $total) = (tool("sizes"), 0);
$total += $1 while $sizes =~ /^ +\d+ +(\d+)\s*$/mg;
is $total, 3, "sizes";

my @keys = sort map { /\Akey=(\S+) exp=/ } split /\n/, tool('keys');
is_deeply \@keys, ['%25%2F', 'one', 'two'], 'keys';

# What it dumped, sent back, restores everything.
my $dump = tool('dump');
is scalar(() = $dump =~ /^add /mg), 3, 'dump';
is $c->ask('flush_all'), 'OK';
is $c->get('one'), undef;
my $again = $mc->client;
$again->send($dump);
is $again->line, "STORED\r\n" for 1 .. 3;
is $c->get('one'), 'first';
is $c->get('%/'),  'third';
done_testing;
