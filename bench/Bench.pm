package Bench;

# What the scripts of bench/ share: building their programs, starting servers
# on one core and the load on another.

use strict;
use warnings;

use Exporter qw(import);
use FindBin;

use lib "$FindBin::Bin/../t/lib";
use Memcached;

our @EXPORT = qw(build load median pin stock two_servers verdict);

my %built;

# The path of bench/NAME, built from NAME.c.
sub build
{
    my ($name) = @_;
    return $built{$name} //= do {
        my $to = scratch() . "/$name";
        my $cc = $ENV{CC} // 'cc';
        system("$cc -O2 -o $to $FindBin::Bin/$name.c -lm") == 0
            or die "cannot build $name\n";
        $to;
    };
}

sub stock
{
    my $stock = $ENV{STOCK} // '/usr/bin/memcached';
    -x $stock or die "no memcached at $stock to compare with\n";
    return $stock;
}

# All threads of a daemon on one core.
sub pin
{
    my ($mc, $core) = @_;
    my $pid = $mc->pid;
    system("taskset -a -p -c $core $pid >/dev/null") == 0
        or die "taskset failed\n";
    return $mc;
}

# (theirs, ours), both with one worker on core 0, with the same options.
sub two_servers
{
    my (@options) = @_;
    my $theirs = start_memcached({binary => stock()}, '-t', 1, @options);
    my $ours   = start_memcached('-t', 1, @options);
    return (pin($theirs, 0), pin($ours, 0));
}

# Runs the load on core 1; gives its report as a hash.
sub load
{
    my ($mc, @args) = @_;
    my $load   = build('load');
    my $target = '-p ' . $mc->port . ' -s ' . $mc->pid;
    my $out    = qx(taskset -c 1 $load $target @args);
    die "load failed: $out\n" if $? != 0;
    return split ' ', $out;
}

sub median
{
    my @sorted = sort { $a <=> $b } @_;
    return $sorted[$#sorted / 2];
}

sub verdict
{
    my ($ratio, $bound) = @_;
    return $ratio <= $bound ? 'within' : 'BEYOND';
}

1;
