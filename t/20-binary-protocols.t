#!/usr/bin/perl
# Which protocol a connection speaks: -B, -l proto[...], and the first byte.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Memcached;

my $noop = packet('noop');

sub speaks
{
    my ($mc, $port) = @_;
    my ($text, $binary)
        = map { Client->new(port => $port // $mc->port) } 1, 2;
    $text->send("mn\r\n" . ' ' x 24);
    $binary->send($noop);
    $text->shutdown_write;
    $binary->shutdown_write;
    return join ' ', ($text->read_all =~ /\AMN\r\n/ ? 'ascii' : ()),
        ($binary->read_all =~ /\A\x81/ ? 'binary' : ());
}

my %said = (auto => ['auto-negotiate', 'auto-negotiating client connection',
        'ascii binary'], ascii => ['ascii', 'ascii client connection.', 'ascii'],
    binary => ['binary', 'binary client connection.', 'binary']);
for my $name (sort keys %said) {
    my ($listening, $new, $speaks) = @{$said{$name}};
    my $mc = spawn_memcached('-B', $name, '-vv');
    ok((wait_for { $mc->port && $mc->try_client } 20), "-B $name");
    is speaks($mc), $speaks, "speaks $speaks";
    like $mc->stderr, qr/^<\d+ server listening \(\Q$listening\E\)$/m, 'says so';
    like $mc->stderr, qr/^<\d+ new \Q$new\E$/m, 'for a client too';
    my $stat = $speaks =~ /binary/
        ? join ' ', map { "$_->{key}=$_->{value}" } Binary->new($mc->client)
        ->replies(packet('stat', key => 'settings'))
        : join ' ', map { "$_->[0]=$_->[1]" } $mc->stats('settings');
    like $stat, qr/ binding_protocol=\Q$listening\E /, 'and so do the settings';
}

# By listener; a name may be shortened.
my %port = map { $_ => free_port() } qw(a b n x);
my $mc = spawn_memcached('-B', 'binary', '-l',
    "proto[asc]:127.0.0.1:$port{a},proto[b]:127.0.0.1:$port{b},"
    . "proto[negotiating]:127.0.0.1:$port{n},127.0.0.1:$port{x}");
wait_for { Client->new(port => $port{x}) } 20;
is speaks($mc, $port{a}), 'ascii',        'proto[asc]';
is speaks($mc, $port{b}), 'binary',       'proto[b]';
is speaks($mc, $port{n}), 'ascii binary', 'proto[negotiating]';
is speaks($mc, $port{x}), 'binary',       'none: as -B';

# The first byte decides, once and for all.
my $auto  = start_memcached('-vv');
my $text  = $auto->client;
$text->says("mn\r\n", "MN\r\n");
$text->ends_with($noop, '', 'a binary request after text');
my $other = Binary->new($auto->client);
is $other->ask(packet('version')), 'version 0000 "1.6.45"', 'binary';
is $other->last_words('version' . ' ' x 30 . "\r\n"), '', 'text after it';
$auto->client->says("\x81abc\r\n", "ERROR\r\n", 'another byte is text');
like $auto->stderr, qr/^\d+: Client using the binary protocol$/m, '-vv';
$other = Binary->new($auto->client);
$other->client->send("\x80");
$auto->client->says("mn\r\n", "MN\r\n");
$other->client->send(substr packet('noop', opaque => 6), 1);
is $other->reply->{opaque}, 6, 'the first byte may come alone';
done_testing;
