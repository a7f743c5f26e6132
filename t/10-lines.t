#!/usr/bin/perl
# Bad lines, odd lines: the error, and the connection stays, but for those that
# leave bytes of a value behind.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc = start_memcached();
my $c  = $mc->client;

for my $verb ('nonsense', 'GET a', 'Set a 0 0 1', 'gett a', 'ge', 'stat', ' get a',
    'set_a', "\0\0\0\0", 'get_multi a', 'flush', 'deletes a', 'bogus a b c')
{
    $c->says("$verb\r\n", "ERROR\r\n", "'" . Client::shown($verb, 20) . "'");
}
my $short = "CLIENT_ERROR bad command line format\r\n";
$c->says("\r\n",   $short, 'an empty line');
$c->says("a\r\n",  $short, 'one letter');
$c->says("mn\n",    $short, 'two letters, LF');
$c->says("ab\r\n", "ERROR\r\n", 'two letters, CR LF');
$c->says("nonsense\n", "ERROR\r\n", 'ended by LF alone');
$c->says(' flush_all' . "\r\n", "OK\r\n", 'a blank before flush_all');
$c->says("flush_all   \r\n", "OK\r\n", 'blanks after');
like $c->ask('version'), qr/\AVERSION [\d.]+\z/, 'version';
like $c->ask('version with words'), qr/\AVERSION [\d.]+\z/, 'with words';
$c->says("verbosity\r\n", "CLIENT_ERROR bad command line format\r\n", 'verbosity without a level');
$c->says("verbosity x\r\n", "CLIENT_ERROR bad command line format\r\n");
$c->says("verbosity -1\r\n", "CLIENT_ERROR bad command line format\r\n");
$c->says("verbosity 0\r\n", "OK\r\n");
$c->says("verbosity 99\r\n", "OK\r\n");
$c->says("verbosity 0 more\r\n", "OK\r\n");
$c->says("flush_all x\r\n", "CLIENT_ERROR invalid exptime argument\r\n");
$c->says("flush_all -1\r\n", "OK\r\n");
$c->says("cache_memlimit 7\r\n",
    "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n");
$c->says("cache_memlimit 1000000001\r\n",
    "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n");
$c->says("cache_memlimit x\r\n", "ERROR\r\n");
$c->says("cache_memlimit 100\r\n", "OK\r\n");
is $mc->stats->{limit_maxbytes}, 100 * 1048576, 'the new limit';

my $data = 'CLIENT_ERROR bad data chunk';
is $c->set('d', 'old'), 'STORED';
$mc->client->ends_with("set d 0 0 3\r\nabcdefgh\r\n", "$data\r\n",
    'data too long: what is left is no command');
$mc->client->ends_with("set d 0 0 3\r\nabc\n\nmn\r\n", "$data\r\n",
    'LF where CR LF belongs');
is $c->get('d'), 'old', 'the old value stays';
$mc->client->ends_with("set d 0 0 6\r\nabc\r\nget d\r\n", "$data\r\n",
    'data too short');
$c->says("set d 0 0 2 1\r\nno\r\n", "STORED\r\n", 'one word too many');
$c->says("shutdown\r\n", "SERVER_ERROR: shutdown not enabled\r\n");

for my $text ("get / HTTP/1.1\r\n", "POST / HTTP/1.0\r\nHost: a\r\n\r\n") {
    my $h = $mc->client;
    my $is_get = $text =~ /\Aget/;
    $h->send($text);
    if ($is_get) {
        $h->says('', "END\r\n", 'keys that look like HTTP are keys');
    } else {
        $h->closes('what speaks HTTP is cut off');
    }
}
my $f = start_memcached('-F');
$f->client->says("flush_all\r\n", "CLIENT_ERROR flush_all not allowed\r\n",
    '-F');
$c->says("quit now\r\n", '');
$c->closes('quit with words');
done_testing;
