#!/usr/bin/perl
# What meta commands and packets of the binary protocol change reaches repcached 2.x,
# played from a script, as lines that it knows; what no line can name does not.

use strict;
use warnings;

use FindBin;
use IO::Socket::INET;
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Memcached;

plan skip_all => "built without replication" if !has_replication();

my $old = IO::Socket::INET->new(
    LocalAddr => '127.0.0.1',
    LocalPort => free_port(),
    Listen    => 1,
    ReuseAddr => 1
) or die "$!";
my $mc = spawn_memcached({port => free_port()}, '-x', '127.0.0.1', '-X',
    free_port() . ':' . $old->sockport);
my $link = $old->accept;
$link->blocking(0);
syswrite $link, "marugoto_end\r\n";
$mc->wait_ready(10) or die 'no answer';
my $c = $mc->client;
my $b = Binary->new($mc->client);
my $n = 0;

# Everything the link tells because of one change: until it tells of a key set behind,
# which is left out. Casses, and seconds of ends, differ from run to run.
sub told
{
    my ($text, $last) = ('', 'last' . ++$n);
    $c->set($last, '');
    my $ok = wait_for {
        sysread $link, $text, 65_536, length $text;
        $text =~ /^rep \Q$last\E .*\r\n\r\n\z/m
    }
    10;
    $text =~ s/\Arepcached3 [^\n]*\n//;
    $text =~ s/^rep \Q$last\E .*\r\n\r\n\z//m;
    $text =~ s/^(rep \S+ \d+ )(\d+)( \d+) \d+\r/$1 . ($2 > 1e9 ? 'E' : $2) . "$3 C\r"/gem;
    return $ok ? $text : "not: $text";
}

# One test: this meta command makes the link tell this.
sub meta_tells
{
    my ($request, $answer, $tells, $name) = @_;
    $c->says("$request\r\n", "$answer\r\n", $name);
    return Client::same_bytes(told(), $tells, "$name: is told");
}

sub binary_tells
{
    my ($verb, $tells, %opt) = @_;
    my $said = $b->ask(packet($verb, %opt));
    like $said, qr/\A(?:|\w+ 0000.*)\z/, $verb;
    return Client::same_bytes(told(), $tells, "$verb: is told");
}

told();
meta_tells("ms a 1 F5\r\nx",      'HD',    "rep a 5 0 1 C\r\nx\r\n",   'ms');
meta_tells("ms a 1 MA E9\r\ny",   'HD',    "rep a 5 0 2 C\r\nxy\r\n",  'append, a chosen cas');
meta_tells('mg v N500',           'HD W',  "rep v 0 E 0 C\r\n\r\n",    'vivify');
meta_tells('ma n N0 J41',         'HD',    "rep n 0 0 2 C\r\n41\r\n",  'ma that makes one');
meta_tells('ma n D2 T700',        'HD',    "rep n 0 E 2 C\r\n43\r\n",  'ma');
meta_tells('md a x F3',           'HD',    "rep a 3 0 0 C\r\n\r\n",    'md x');
meta_tells("md a",                'HD',    "delete a\r\n",             'md');
meta_tells("ms YmFzZQ== 1 b\r\nz", 'HD',   "rep base 0 0 1 C\r\nz\r\n", 'base64');
meta_tells('md YmFzZQ== b',       'HD',    "delete base\r\n",          'md of base64');

my @set = (extras => set_extras(7, 0), key => 'b');
for my $q ('', 'q') {
    binary_tells("set$q", "rep b 7 0 1 C\r\n1\r\n", @set, value => '1');
    binary_tells("append$q",  "rep b 7 0 2 C\r\n12\r\n",  key => 'b', value => '2');
    binary_tells("prepend$q", "rep b 7 0 3 C\r\n012\r\n", key => 'b', value => '0');
    binary_tells("delete$q", "delete b\r\n", key => 'b');
    binary_tells("incr$q", "rep i 0 0 1 C\r\n5\r\n", key => 'i', extras => arith_extras(1, 5, 0));
    binary_tells("decr$q", "rep i 0 0 1 C\r\n3\r\n", key => 'i', extras => arith_extras(2, 0, 0));
    binary_tells("gat$q", "rep i 0 E 1 C\r\n3\r\n", key => 'i', extras => touch_extras(900));
    binary_tells("delete$q", "delete i\r\n", key => 'i');
}
# Keys that would be something else in a line.
for my $key ("a b", "a\r\nflush_all", "a\0", "\n") {
    my $shown = Client::shown($key, 20);
    binary_tells('setq', '', @set, key => $key, value => 'v');
    my $b64 = encode_base64($key, '');
    meta_tells("mg $b64 b v", "VA 1\r\nv", '', "$shown is here");
    meta_tells("md $b64 b",   'HD',        '', "$shown goes");
}
binary_tells('flushq', "flush_all \r\n");
done_testing;
