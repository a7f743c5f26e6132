#!/usr/bin/perl
# -Y: what a text client may say before it is known, and what that is answered.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Memcached;

my $file = scratch_file('users', "one:secret\ntwo:pass: word\r\n:none\nempty:\n");
my $mc   = spawn_memcached('-Y', $file);
wait_for { $mc->alive && $mc->try_client } 20 or die $mc->stderr;

sub attempt { return "set k 0 0 " . length($_[0]) . "\r\n$_[0]\r\n" }

my $no = "CLIENT_ERROR unauthenticated\r\n";

for my $line ('quit', 'mn', 'ab', '') {
    my $c = $mc->client;
    $c->ends_with("$line\r\nversion\r\n", '', "'$line' ends it");
}
$mc->client->ends_with('x' x 2049, '', 'so does a line that does not end');
my $c = $mc->client;
$c->says('x' x 2048 . "\r\n", $no, 'one that does is refused');
$c->says("get a\r\n", $no, 'get');
$c->says("version\r\n", $no, 'version');
$c->says("get a b c 10\r\n", $no, 'five tokens');
$c->says("set a 0 0\r\n", $no, 'four tokens');
$c->says("set a 0 0 -1\r\n", $no, 'no length');
$c->says("set a 0 0 4x\r\n", $no, 'no length either');
$c->says("SET a 0 0 10\r\n", $no, 'capitals');
$c->says("set a 0 0 10\n", $no, 'LF alone');

$c->says("set a 0 0 10\r\none secretxx",
    "CLIENT_ERROR bad command line termination\r\n", 'no line end');
$c->says(attempt('onesecret'), "CLIENT_ERROR bad authentication token format\r\n",
    'no space');
$c->says(attempt('x' x 16_384), "CLIENT_ERROR bad authentication token format\r\n",
    'the longest value');
$c->says(attempt(join "\r\n", map { "set k 0 0 10\r\none secret" } 1 .. 800),
    "CLIENT_ERROR auth token too long\r\n", 'a longer one, which is swallowed');
$c->says("version\r\n", $no, 'and did not let it in');

my $wrong = "CLIENT_ERROR authentication failure\r\n";
my @wrong = ('one secre', 'one secrett', 'on secret', 'one  secret', 'two pass:',
    'One secret', ' ', 'one ' . 'x' x 300, "one secret\0");
$c->says(attempt($_), $wrong, 'wrong: ' . Client::shown($_, 20)) for @wrong;
$c->says("set k 0 0 10 noreply\r\none secre.\r\n", $wrong, 'always answered');

for my $good ('one secret', 'two pass: word', ' none', 'empty ') {
    my $d = $mc->client;
    $d->says(attempt($good), "STORED\r\n", "right: '$good'");
    $d->says("mn\r\n", "MN\r\n", 'now it may');
}
$mc->client->says("set x y z 10 more noreply\r\none secret\r\nmn\r\n",
    "STORED\r\nMN\r\n", 'what the line says otherwise does not matter');
$mc->client->says("setx a b c 10\r\none secret\r\nmn\r\n",
    "STORED\r\nMN\r\n", 'nor what follows set');
$c->says("get aa\r\n" . attempt('one x') . attempt('one secret')
    . "get k\r\nset a 0 0 1\r\nv\r\nget a\r\n",
    "$no${wrong}STORED\r\nEND\r\nSTORED\r\nVALUE a 0 1\r\nv\r\nEND\r\n",
    'all in one packet: the attempt stored nothing');

my $bytes = attempt('one secret') . "mn\r\n";
my $slow  = $mc->client;
$slow->send($_) for split //, $bytes;
$slow->says('', "STORED\r\nMN\r\n", 'byte by byte');

$c->send("stats\r\n");
my %stats = $c->read_to(qr/^END/) =~ /STAT (\S+) (\S+)\r\n/g;
is $stats{auth_cmds}, @wrong + 1 + 1 + 8, 'auth_cmds counts pairs';
is $stats{auth_errors}, @wrong + 2, 'auth_errors the wrong ones';
$c->send("stats settings\r\n");
%stats = $c->read_to(qr/^END/) =~ /STAT (\S+) (.*)\r\n/g;
is $stats{auth_enabled_ascii}, $file,   'auth_enabled_ascii';
is $stats{binding_protocol},   'ascii', 'binding_protocol';

done_testing;
