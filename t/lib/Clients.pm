package Clients;

# Clients in daily use, of other languages: a script of t/clients that prints TAP
# is given the ports of daemons, and its tests become tests of ours.
#
#   client_tests([qw(/usr/bin/python3 -B)], 'pymemcache_client.py', $mc->port);

use strict;
use warnings;

use Exporter qw(import);
use FindBin;
use Test::More;

our @EXPORT = qw(client_tests runs);

my $SECONDS = 120;

# Whether a command ends well, without a word of it.
sub runs
{
    my (@command) = @_;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>', '/dev/null' or die $!;
        open STDERR, '>', '/dev/null' or die $!;
        exec @command or exit 127;
    }
    waitpid $pid, 0;
    return $? == 0;
}

# Runs $script with these arguments under @$interpreter, for a while at most.
sub client_tests
{
    my ($interpreter, $script, @arguments) = @_;
    my $before = Test::More->builder->current_test;
    my $plan   = -1;
    open my $out, '-|', 'timeout', $SECONDS, @$interpreter,
        "$FindBin::Bin/clients/$script", @arguments
        or die "timeout: $!";
    while (my $line = readline $out) {
        chomp $line;
        if ($line =~ /\A(not )?ok \d+ - (.*)/) {
            ok !$1, $2;
        } elsif ($line =~ /\A1\.\.(\d+)/) {
            $plan = $1;
        } else {
            diag $line;
        }
    }
    my $said = Test::More->builder->current_test - $before;
    close $out;
    is $? >> 8, 0, "$script ran to its end";
    is $said, $plan, 'with all of its tests';
    return;
}

1;
