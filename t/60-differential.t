#!/usr/bin/perl
# The same bytes to Debian's memcached and to ours: the same bytes back.
#
# SEED=n repeats a run, SESSIONS=n changes how many are generated. What is known
# to differ is in the table of 60-differences.t, and is not generated here.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(time);

use lib "$FindBin::Bin/lib";
use Differential qw(generate_session read_sessions run_session normalise);
use Memcached;

my $stock = $ENV{STOCK} // '/usr/bin/memcached';
plan skip_all => "no memcached at $stock to compare with" if !-x $stock;

my $seed     = $ENV{SEED} // int(time) ^ $$ << 8;
my $sessions = $ENV{SESSIONS} // 2000;
my $seconds  = 240;
note "SEED=$seed SESSIONS=$sessions";
my $wrong = 0;

sub servers
{
    my (@options) = @_;
    my @daemons = start_memcached(@options);
    push @daemons, start_memcached({binary => $stock}, @options);
    my @servers = map { {daemon => $_, side => $_->client} } @daemons;
    $servers[0]{hangs_up} = 1;
    return \@servers;
}

sub report
{
    my ($name, $steps, $ours, $theirs) = @_;
    $wrong++;
    Client::same_bytes($ours, $theirs, $name);
    diag "SEED=$seed";
    for my $step (@$steps) {
        my $text =
              !ref $step           ? $step
            : ref $step eq 'HASH' ? $step->{refused}
            :                        $step->(sub { 0 });
        diag '  sent: ', Client::shown($text, 150);
    }
    return;
}

sub check
{
    my ($name, $steps, $servers) = @_;
    $_->{main} = $_->{daemon}->client for @$servers;
    my ($ours, $theirs) =
        map { normalise($_) } run_session($steps, $servers);
    report($name, $steps, $ours, $theirs) if $ours ne $theirs;
    return;
}

for my $options ([], ['-t', 1, '-R', 1], ['-C', '-F']) {
    my $servers = servers(@$options);
    for my $file (sort glob "$FindBin::Bin/differential/*.txt") {
        my $n = 0;
        srand $seed;
        my $before = $wrong;
        for my $steps (read_sessions($file)) {
            check("$file, session " . ++$n, $steps, $servers);
        }
        my ($name) = $file =~ m{([^/]+)\z};
        is $wrong, $before, "$name, $n written sessions, options '@$options'";
    }
    my $share = int $sessions * (@$options ? 0.2 : 0.6);
    my $end   = time + $seconds * $share / $sessions;
    my $done  = 0;
    while ($done < $share && $wrong < 5 && time < $end) {
        srand(($seed * 1_000_003 + ++$done) & 0xffffffff);
        check("session $done", generate_session($done), $servers);
    }
    is $done, $share, "$share generated sessions, options '@$options'";
    $_->{side}->close for @$servers;
}
is $wrong, 0, 'no difference';
done_testing;
