#!/usr/bin/perl
# The binary protocol: packets that are wrong, what answers them, and that
# nothing behind them runs.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Memcached;

my $mc = start_memcached('-v');
my $x  = set_extras();
my $evil = packet('set', key => 'evil', extras => $x, value => 'x')
    . packet('flush');
my $invalid = '0004 "Invalid arguments"';

# Name, bytes, what is answered before the connection ends.
my @ends = (
    ['another magic',   packet('noop', magic => 0x81), ''],
    ['text',            'get a' . ' ' x 30 . "\r\n", ''],
    ['a key that is longer than the body',
        packet('get', key => 'key', body => 2), 'get 0081 "Unknown command"'],
    ['extras that are', packet('set', extras => $x, body => 7),
        'set 0081 "Unknown command"'],
    ['a body above a gigabyte',
        packet('set', key => 'k', extras => $x, body => 2**30 + 1),
        "set $invalid"],
    ['a key of 20000 bytes', packet('get', key => 'k' x 20_000), ''],
    ['a key of 251 bytes',   packet('getq', key => 'k' x 251), "getq $invalid"],
    ['the same, unknown',    packet(0x50, key => 'k' x 251),   "50 $invalid"],
    (map { ["$_ with extras", packet($_, key => 'k', extras => $x),
            "$_ $invalid"] } qw(get getk delete append prepend stat touch gat
            gatk incr decr)),
    (map { ["$_ without extras", packet($_, key => 'k'), "$_ $invalid"] }
        qw(set addq replace incr decrq touch gat gatkq)),
    (map { ["$_ without a key", packet($_->[0], extras => $_->[1]),
            "$_->[0] $invalid"] } ['get', ''], ['setq', $x], ['delete', ''],
        ['append', ''], ['incr', arith_extras(1, 1, 1)],
        ['touch', touch_extras()]),
    (map { ["$_ with a value", packet($_, key => 'k', value => 'v'),
            "$_ $invalid"] } qw(get getkq delete)),
    (map { ["$_ with a body", packet($_, value => 'v'), "$_ $invalid"] }
        qw(quit quitq noop version flush)),
    ['flush with other extras', packet('flush', extras => 'abc'),
        "flush $invalid"],
    # What belongs to nothing ends the connection, whatever it looks like.
    ['touch with a value',
        packet('touch', key => 'kept', extras => touch_extras(), value => $evil),
        'touch 0000:cas flags 0'],
    ['gat with a value',
        packet('gat', key => 'kept', extras => touch_extras(), value => $evil),
        'gat 0000:cas flags 0 "v"'],
    ['stat with a value', packet('stat', key => 'sizes', value => $evil),
        'stat 0000 key sizes_status "disabled", stat 0000'],
);

is $mc->client->set('kept', 'v'), 'STORED';
for my $row (@ends) {
    my ($name, $bytes, $answer) = @$row;
    my $before = packet('noop', opaque => 5);
    is(Binary->new($mc->client)->last_words("$before$bytes$evil"),
        'noop 0000 opaque 5' . ($answer ne '' ? ", $answer" : ''), $name);
    my $slow = $mc->client;
    $slow->send($_) for split //, $before . substr "$bytes$evil", 0, 300;
    $slow->shutdown_write;
    is shown_packets($slow->read_all),
        'noop 0000 opaque 5' . ($answer ne '' ? ", $answer" : ''),
        "$name, byte by byte" if length $bytes < 290;
}
$mc->client->says("get kept evil\r\n", "VALUE kept 0 1\r\nv\r\nEND\r\n",
    'nothing ran');
is $mc->stats->{cmd_flush}, 0, 'not even in part';
like $mc->stderr, qr/^Invalid magic:  81$/m, '-v: the magic';
like $mc->stderr, qr/^Protocol error \(opcode 09\), close connection \d+$/m,
    '-v: an error';

# Unknown requests lose their value, and that alone.
my $b = Binary->new($mc->client);
for my $size (0, 1, 100_000) {
    is $b->ask(packet(0x33, value => 'x' x $size), packet('get', key => 'kept')),
        '33 0081 "Unknown command", get 0000:cas flags 0 "v"',
        "an unknown request with $size bytes";
}
done_testing;
