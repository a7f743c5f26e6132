#!/usr/bin/perl
# WATCHDOG_USEC: a service manager hears that all threads are alive, and no more
# when one is not.

use strict;
use warnings;

use FindBin;
use POSIX qw(mkfifo);
use Test::More;

use lib "$FindBin::Bin/lib";
use Activate;
use Memcached;

# How often WATCHDOG=1 was heard.
sub beats { return scalar grep { $_ eq 'WATCHDOG=1' } @{$_[0]->heard} }

# Whether it is heard twice within a few seconds; whether not within so many.
sub beating
{
    my ($manager) = @_;
    my $before = beats($manager);
    return wait_for { beats($manager) >= $before + 2 } 10;
}

sub silent
{
    my ($manager, $seconds) = @_;
    beats($manager);
    wait_for { 0 } 0.15; # what was said meanwhile
    my $before = beats($manager);
    return !wait_for { beats($manager) > $before } $seconds;
}

# Bytes that nobody has read yet, of the 65,536 that a pipe takes.
sub unread
{
    my ($fh) = @_;
    my $n = pack 'i', 0;
    ioctl $fh, 0x541b, $n or die "FIONREAD: $!";
    return unpack 'i', $n;
}

my $manager = Activate->new;
my $mc      = start_memcached(
    {under => [@{$manager->under}, 'env', 'WATCHDOG_USEC=100000']}, '-t', 3);
ok beating($manager), 'it is told';
my $from = beats($manager);
wait_for { 0 } 0.3;
my $n = beats($manager) - $from;
cmp_ok $n, '>=', 2, "twice in an interval of 0.1 s: $n in three of them";
cmp_ok $n, '<=', 8, 'and not more often';
my $c = $mc->client;
$c->send("get a\r\n" x 20_000);
is $c->read(5 * 20_000), "END\r\n" x 20_000, 'with work to do';
ok beating($manager), 'as well';
$mc->signal('STOP');
ok silent($manager, 0.3), 'a process that stands still says nothing';
$mc->signal('CONT');
ok beating($manager), 'until it goes on';

# One worker waits for a reader of its standard error; main and the others go on.
my $fifo = scratch() . '/stderr';
mkfifo $fifo, 0600 or die "mkfifo: $!";
open my $pipe, '+<', $fifo or die "$fifo: $!";
my $hung = Activate->new;
$mc = start_memcached({
        under => [@{$hung->under}, 'env', 'WATCHDOG_USEC=100000', 'sh', '-c',
            'exec 2>"$0"; exec "$@"', $fifo]
    }, '-t', 2);
ok beating($hung), 'two workers';
my @both = map { $mc->client } 0, 1;
is $both[0]->ask('verbosity 2'), 'OK', 'the first writes what it hears';
$both[0]->send("get a\r\n" x 20_000);
ok((wait_for { unread($pipe) > 60_000 } 20), 'until it can write no more');
ok silent($hung, 0.3), 'one of two that hangs is enough';
$pipe->blocking(0);
my $all   = '';
my $stood = beats($hung);
ok((wait_for { sysread $pipe, $all, 65_536, length $all; beats($hung) > $stood } 20),
    'it goes on when it may');
$both[0]->send("verbosity 0\r\n");
ok((wait_for { sysread $pipe, $all, 65_536, length $all; $all =~ /verbosity 0/ } 20),
    'the end of what it writes');
ok beating($hung), 'and so does the watchdog';

# Not for this process, or nothing.
for my $env ('WATCHDOG_PID=1', 'WATCHDOG_USEC=x') {
    my $other = Activate->new;
    $mc = start_memcached({under => [@{$other->under}, 'env',
            $env =~ /USEC/ ? () : 'WATCHDOG_USEC=100000', $env]});
    ok silent($other, 0.15), "$env: nobody asked";
}
like $mc->stderr, qr/^WATCHDOG_USEC must be a number, got x$/m, 'a line says why';
done_testing;
