#!/usr/bin/perl
# The same packets to Debian's memcached and to ours: the same back, by TCP; and
# the same requests in datagrams.
#
# SEED=n repeats a run, SESSIONS=n changes how many are generated.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(time);

use lib "$FindBin::Bin/lib";
use Binary;
use Differential qw(normalise);
use DifferentialBinary qw(binary_session run_binary_session text_requests);
use Memcached;
use Udp;

my $stock = $ENV{STOCK} // '/usr/bin/memcached';
plan skip_all => "no memcached at $stock to compare with" if !-x $stock;

my $seed     = $ENV{SEED} // int(time) ^ $$ << 8;
my $sessions = $ENV{SESSIONS} // 400;
note "SEED=$seed SESSIONS=$sessions";
my $wrong = 0;

sub report
{
    my ($name, $ours, $theirs) = @_;
    $wrong++;
    my @ours   = split /\n/, $ours;
    my @theirs = split /\n/, $theirs;
    fail "$name, SEED=$seed";
    for my $i (0 .. ($#ours > $#theirs ? $#ours : $#theirs)) {
        next if ($ours[$i] // '') eq ($theirs[$i] // '');
        diag '  ours: ',   substr $ours[$i]   // 'nothing', 0, 300;
        diag '  theirs: ', substr $theirs[$i] // 'nothing', 0, 300;
        last;
    }
    return;
}

# --- TCP -----------------------------------------------------------------------

for my $options ([], ['-t', 1, '-R', 1], ['-C', '-F']) {
    my @daemons = (start_memcached(@$options),
        start_memcached({binary => $stock}, @$options));
    my @side = map { Binary->new($_->client) } @daemons;
    my $share = int $sessions / 3;
    my ($end, $done) = (time + 20, 0);
    while ($done < $share && $wrong < 3 && time < $end) {
        srand(($seed * 1_000_003 + ++$done) & 0xffffffff);
        my $steps = binary_session($done);
        my ($ours, $theirs) = map {
            run_binary_session($steps, Binary->new($daemons[$_]->client),
                $side[$_])
        } 0, 1;
        report("session $done", $ours, $theirs) if $ours ne $theirs;
    }
    is $done, $share, "$share sessions, options '@$options'";
}

# --- UDP -----------------------------------------------------------------------

my @port = map { free_port() } 0, 1;
my @daemon = (start_memcached('-U', $port[0], '-t', 1),
    start_memcached({binary => $stock}, '-U', $port[1], '-t', 1));
my @udp = map { Udp->new(port => $_) } @port;
srand $seed;

# A frame without content, where only 1.6.18 has one, tells nothing.
sub replies
{
    my ($u, $requests) = @_;
    return normalise(join '', map { "<\n$_>\n" } grep { length }
            $u->messages($requests));
}

my $count = 0;
my $until = time + 20;
while ($count < $sessions && $wrong < 3 && time < $until) {
    my $requests = text_requests();
    my ($ours, $theirs) = map { replies($_, $requests) } @udp;
    report(Client::shown($requests, 100), $ours, $theirs)
        if $ours ne $theirs;
    $count++;
}
is $count, $sessions, "$count datagrams";
is $wrong, 0, 'no difference';
done_testing;
