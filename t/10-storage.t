#!/usr/bin/perl
# set, add, replace, append and prepend: replies, flags, values.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached();
my $c  = $mc->client;

$c->says("replace a 0 0 1\r\nx\r\n", "NOT_STORED\r\n", 'replace, absent');
$c->says("append a 0 0 1\r\nx\r\n",  "NOT_STORED\r\n", 'append, absent');
$c->says("prepend a 0 0 1\r\nx\r\n", "NOT_STORED\r\n", 'prepend, absent');
$c->says("get a\r\n",                "END\r\n",        'nothing came of it');
$c->says("add a 3 0 1\r\nx\r\n",     "STORED\r\n",     'add, absent');
$c->says("add a 4 0 1\r\ny\r\n",     "NOT_STORED\r\n", 'add, present');
$c->says("get a\r\n", "VALUE a 3 1\r\nx\r\nEND\r\n", 'the first stays');
$c->says("replace a 7 0 2\r\nyy\r\n", "STORED\r\n", 'replace, present');
$c->says("append a 9 0 2\r\n>>\r\n",  "STORED\r\n", 'append, present');
$c->says("prepend a 9 0 2\r\n<<\r\n", "STORED\r\n", 'prepend, present');
$c->says("get a\r\n", "VALUE a 7 6\r\n<<yy>>\r\nEND\r\n",
    'flags are those of replace');
$c->says("set a 0 0 0\r\n\r\n", "STORED\r\n",                  'empty value');
$c->says("get a\r\n",           "VALUE a 0 0\r\n\r\nEND\r\n", 'empty value');
$c->says("append a 0 0 3\r\nabc\r\n", "STORED\r\n", 'append to empty');
$c->says("get a\r\n", "VALUE a 0 3\r\nabc\r\nEND\r\n");

my $bytes = join '', map { chr } 0 .. 255;
is $c->set('bin', $bytes), 'STORED', 'every byte value';
is $c->get('bin'), $bytes, 'comes back';
$c->says("set lf 0 0 4\r\n\r\n\r\n\r\n", "STORED\r\n", 'line ends as value');
$c->says("get lf\r\n", "VALUE lf 0 4\r\n\r\n\r\n\r\nEND\r\n");

for my $case (
    ['0',          0],
    ['1',          1],
    ['+7',         7],
    ['007',        7],
    ['2147483647', 2147483647],
    ['2147483648', 2147483648],
    ['4294967295', 4294967295])
{
    my ($given, $kept) = @$case;
    $c->says("set f $given 0 1\r\nv\r\n", "STORED\r\n", "flags $given");
    $c->says("get f\r\n", "VALUE f $kept 1\r\nv\r\nEND\r\n", 'read back');
}
my $line = 'CLIENT_ERROR bad command line format';
for my $flags ('-1', 'x', '1x', '18446744073709551616') {
    $c->says("set g $flags 0 1\r\nv\r\n", "$line\r\n",
        "flags $flags refused, data swallowed");
}
$c->says("get g\r\n", "END\r\n", 'and nothing stored');

for my $verb (qw(set add replace append prepend)) {
    for my $bad ('k', 'k 0 0', 'k 0 0 -1', 'k 0 0 x') {
        $mc->client->ends_with("$verb $bad\r\nmn\r\n", "$line\r\n",
            "$verb $bad: nobody knows where its data ends");
    }
    $c->says("$verb k 0 x 1\r\nv\r\n", "$line\r\n", "$verb with exptime x");
}
$c->nothing_more;
done_testing;
