#!/usr/bin/perl
# Expiry: relative, absolute, negative, overflowing, moved by touch.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $mc  = start_memcached();
my $c   = $mc->client;
my $now = $mc->stats->{time};

sub lives
{
    my ($exptime, $name) = @_;
    is $c->set('k', 'v', 0, $exptime), 'STORED', $name;
    is $c->get('k'), 'v', 'lives';
    return;
}

sub dead
{
    my ($exptime, $name) = @_;
    is $c->set('k', 'v', 0, $exptime), 'STORED', $name;
    is $c->get('k'), undef, 'is gone at once';
    return;
}

lives 0,           'never';
lives 100,         'relative';
lives 2_592_000,   'the largest relative time';
lives $now + 1000, 'absolute, to come';
lives 2**32,       '2^32 wraps to never';
lives '+100',      'with a sign';
dead 2_592_001,    'one more is 1970';
dead $now - 1000,  'absolute, gone by';
dead -1,           'negative';
dead -2**31,       'the most negative';
dead 2**31,        '2^31 wraps to negative';
dead 2**32 - 1,    '2^32 - 1 wraps to -1';
dead 9_999_999_999, 'wraps to 2014';
$c->says("set k 0 99999999999999999999 1\r\nv\r\n",
    "CLIENT_ERROR bad command line format\r\n", 'beyond 64 bits');

# Seconds pass for all of these at once.
is $c->set("ttl$_", 'v', 0, $_), 'STORED' for 1 .. 2;
is $c->set('kept',  'v', 0, 2), 'STORED';
is $c->set('short', 'v', 0, 0), 'STORED';
is $c->set('gat',   'v', 0, 2), 'STORED';
is $c->set('abs', 'v', 0, $mc->stats->{time} + 2), 'STORED';
is $c->set('5', '5', 0, 2), 'STORED';
is $c->set('app', 'a', 0, 2), 'STORED';
is $c->ask('touch kept 100'), 'TOUCHED', 'touch lengthens';
is $c->ask('touch short 2'),  'TOUCHED', 'touch shortens';
$c->says("gat 100 gat\r\n", "VALUE gat 0 1\r\nv\r\nEND\r\n", 'gat lengthens');
is $c->ask('incr 5 1'), '6', 'incr keeps the time';
is $c->ask("append app 0 0 1\r\nb"), 'STORED', 'append too';

for my $key (qw(ttl1 ttl2 short abs 5 app)) {
    ok((wait_for { !defined $c->get($key) } 8), "$key expires");
}
is $c->get('kept'), 'v', 'what was touched lives';
is $c->get('gat'),  'v', 'so does what gat touched';
is $c->ask("add ttl1 0 0 1\r\nn"), 'STORED', 'an expired key is free for add';
is $c->ask("replace ttl2 0 0 1\r\nn"), 'NOT_STORED', 'and not for replace';
for my $request ('incr 5 1', 'delete abs', 'touch app 5') {
    is $c->ask($request), 'NOT_FOUND', $request;
}
cmp_ok $mc->stats->{get_expired}, '>', 0, 'get_expired';
$c->nothing_more;
done_testing;
