#!/usr/bin/perl
# A cache in a file (-e) outlives SIGUSR1 and `shutdown graceful`: items with flags, cas and
# expiry, large values, the order of eviction, a flush to come.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Memcached;
use Test::More;

my $file = scratch() . '/memory';
my $mc   = start_memcached({unix => 1}, '-e', $file, '-m', 64, '-A', '-v');
my $c    = $mc->client;

# The cas of a key; `flagged` has flags.
sub cas_of
{
    my ($key) = @_;
    $c->send("gets $key\r\n");
    my $flags = $key eq 'flagged' ? 77 : 0;
    return ($c->read_to(qr/END\r\n/) =~ /\AVALUE $key $flags \d+ (\d+)\r\n/)[0];
}

sub again
{
    my (%opt) = @_;
    my $err = length $mc->stderr;
    $opt{ask} ? $mc->client->send("shutdown graceful\r\n") : $mc->signal('USR1');
    is $mc->wait_exit, 0, 'it ends in good order';
    ok -e "$file.meta", 'and leaves metadata';
    is((stat "$file.meta")[2] & 0777, 0600, 'for nobody else');
    $opt{meanwhile}->() if $opt{meanwhile};
    $mc->restart;
    $c = $mc->client;
    return substr $mc->stderr, $err;
}

like $mc->stderr, qr/\[restart\] no metadata save file, starting with a clean cache\n/,
    'a first start says that it is one';
is((stat $file)[7], 64 * 1024**2,        'the file is as large as -m');
is((stat $file)[2] & 0777, 0700,         'and for nobody else');
is $mc->stats('settings')->{memory_file}, $file, 'stats settings names it';
$c->says("cache_memlimit 100\r\n",
    "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n",
    'its size is fixed');

my $large = join '', map { chr 65 + $_ % 26 } 1 .. 900_000;
$c->says("set flagged 77 0 5\r\nhello\r\n",  "STORED\r\n", 'flags');
$c->says("set short 0 1 1\r\nx\r\n",         "STORED\r\n", 'one that will expire');
$c->says("set long 0 1000 1\r\ny\r\n",       "STORED\r\n", 'one that will not');
$c->says("set large 3 0 900000\r\n$large\r\n", "STORED\r\n", 'a value in pieces');
$c->says("set gone 0 0 1\r\nz\r\n",          "STORED\r\n", 'and one');
$c->says("delete gone\r\n",                  "DELETED\r\n", 'that goes');
$c->set("many$_", $_ x ($_ % 100)) for 1 .. 2000;
my $cas     = cas_of('flagged');
my $started = $mc->stats->{time} - $mc->stats->{uptime};

# A value of which half came has no place in the next life.
my $half = $mc->client;
$half->send("set half 0 0 900000\r\n" . 'h' x 600_000);
my $then = time + 1;
my $said = again(meanwhile => sub { wait_for { time > $then } 5 });
like $said, qr/\[restart\] original memory base: \[0x\w+\] new base: \[0x\w+\]/, 'bases';
like $said, qr/\[restart\] recovery start \[\d+\.\d{6}\]\n\[restart\] recovery end /, 'times';
ok !-e "$file.meta", 'the metadata is used up';

is $c->get('large'), $large, 'the large value';
is $c->get('long'),  'y',    'what has time left';
is $c->get('short'), undef,  'the time between counts';
is $c->get('gone'),  undef,  'deleted is deleted';
is $c->get('half'),  undef,  'half is nothing';
is cas_of('flagged'), $cas, 'flags and cas';
is scalar(grep { ($c->get("many$_") // '-') ne $_ x ($_ % 100) } 1 .. 2000), 0, 'all';
my $stats = $mc->stats;
is $stats->{curr_items},  2003, 'and nothing else';
is $stats->{total_items}, 2004, 'counted anew, with what had expired';
is $stats->{cmd_set},     0,    'requests are not';
cmp_ok abs($stats->{time} - $stats->{uptime} - $started), '<=', 1, 'uptime goes on';
$c->set('newer', 1);
cmp_ok +cas_of('newer'), '>', $cas, 'cas rises';

# Once more, by the command; a flush to come still comes.
$c->says("flush_all 2\r\n", "OK\r\n", 'a flush to come');
again(ask => 1);
is $c->get('long'), 'y', 'not yet';
ok((wait_for { !defined $c->get('long') } 5), 'it comes');
$c->set('after', 1);
again();
is $c->get('after'), 1,     'what is newer stays';
is $c->get('large'), undef, 'and a flush is remembered';
done_testing;
