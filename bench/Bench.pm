package Bench;

# What the scripts of bench/ share: their arguments, building their programs,
# starting servers and the load, and saying whether a bound was met.

use strict;
use warnings;

use Exporter qw(import);
use FindBin;
use Getopt::Long qw(GetOptions);
use Time::HiRes qw(time);

use lib "$FindBin::Bin/../t/lib";
use Memcached;

our @EXPORT = qw(
    arguments begin build finish hash_of judge load median noise pair
    percentile pin rows spent_us start_noise stock two_servers verdict
);

my %built;
my $missed = 0;
my %noise;

# --- arguments and programs ---------------------------------------------------

# The values of --NAME N over the defaults given, for the scripts that measure
# replication. --binary PATH is the server, as MEMCACHED in the environment is.
sub arguments
{
    my (%value) = @_;
    my $binary = $ENV{MEMCACHED};
    GetOptions('binary=s' => \$binary,
        map { ("$_=s" => \$value{$_}) } keys %value)
        && !@ARGV
        or die "options: --binary PATH\n",
        map { "    --$_ (now $value{$_})\n" } sort keys %value;
    $ENV{MEMCACHED} = $binary if defined $binary;
    has_replication()
        or die binary(), ": built without replication\n";
    $| = 1;
    return %value;
}

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

# --- servers ------------------------------------------------------------------

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

# (a, b), linked, with the same options.
sub pair
{
    my (@options) = @_;
    return start_pair(a => [@options], b => [@options]);
}

# The rows of `stats replication`.
sub rows
{
    my ($mc) = @_;
    return map { @$_ } $mc->stats('replication');
}

sub _slurp
{
    my ($path) = @_;
    open my $fh, '<', $path or return '';
    local $/;
    return readline($fh) // '';
}

# CPU microseconds a daemon has used so far: (workers, its other threads).
sub spent_us
{
    my ($mc) = @_;
    my ($workers, $others) = (0, 0);
    for my $task (glob '/proc/' . $mc->pid . '/task/*') {
        my ($ns) = _slurp("$task/schedstat") =~ /\A(\d+)/ or next;
        if (_slurp("$task/comm") =~ /worker/) {
            $workers += $ns / 1000;
        } else {
            $others += $ns / 1000;
        }
    }
    return ($workers, $others);
}

# --- load ---------------------------------------------------------------------

sub hash_of { return split ' ', $_[0] }

# Starts a program of bench/ without waiting for it; gives its process and what
# collects its report.
sub begin
{
    my ($program, @args) = @_;
    my $path = build($program);
    my $pid  = open my $pipe, '-|', "exec $path @args" or die "$program: $!";
    return (
        $pid,
        sub {
            my $out = readline $pipe // die "$program failed\n";
            close $pipe or die "$program failed: $out\n";
            return hash_of($out);
        }
    );
}

# Runs the load on core 1; gives its report as a hash, where `workers` and
# `others` are the CPU microseconds of those threads for each request.
sub load
{
    my ($mc, @args) = @_;
    my $load   = build('load');
    my $target = '-p ' . $mc->port . ' -s ' . $mc->pid;
    my $out    = qx(taskset -c 1 $load $target @args);
    die "load failed: $out\n" if $? != 0;
    my %got = hash_of($out);
    @got{qw(workers others)} = (0, 0);
    for (grep { /\Athread_/ } keys %got) {
        my ($tid) = /(\d+)/;
        my $comm = _slurp('/proc/' . $mc->pid . "/task/$tid/comm");
        $got{$comm =~ /worker/ ? 'workers' : 'others'} += $got{$_};
    }
    return %got;
}

# --- figures ------------------------------------------------------------------

sub percentile
{
    my ($share, @values) = @_;
    my @sorted = sort { $a <=> $b } @values;
    return $sorted[$#sorted * $share];
}

sub median { return percentile(0.5, @_) }

sub verdict
{
    my ($ratio, $bound) = @_;
    return $ratio <= $bound ? 'within' : 'BEYOND';
}

# Prints a figure that is judged: at most $bound, or at least with least => 1.
sub judge
{
    my ($what, $value, $unit, $bound, %opt) = @_;
    my $met = $opt{least} ? $value >= $bound : $value <= $bound;
    $missed++ if !$met;
    printf "= %-44s %9.3f %-6s (%s %s)  %s\n", $what, $value, $unit,
        $opt{least} ? 'at least' : 'at most', $bound,
        $met ? 'within' : 'BEYOND';
    return;
}

# Ends with 1 if a bound was not met.
sub finish
{
    noise() if %noise;
    exit($missed ? 1 : 0);
}

# --- noise --------------------------------------------------------------------

# Ticks so far, with those of children that ended: of this script and what it
# started, of all processes, and those that the host took from the machine.
sub _ticks
{
    my ($ours, $all) = (0, 0);
    for my $path (glob '/proc/[0-9]*/stat') {
        my ($pid, $rest) = _slurp($path) =~ /\A(\d+) .*\)\s+(.*)/s or next;
        my ($parent, @tick) = (split ' ', $rest)[1, 11 .. 14];
        my $sum = $tick[0] + $tick[1] + $tick[2] + $tick[3];
        $all  += $sum;
        $ours += $sum if $pid == $$ || $parent == $$;
    }
    return ($ours, $all, (split ' ', _slurp('/proc/stat'))[8]);
}

# What others do to the machine from here until noise() is told by `finish`.
sub start_noise
{
    @noise{qw(ours all stolen)} = _ticks();
    $noise{time} = time;
    return;
}

sub noise
{
    my ($ours, $all, $stolen) = _ticks();
    my $cores = () = _slurp('/proc/stat') =~ /^cpu\d/mg;
    my $total = 100 * $cores * (time - $noise{time} || 1);
    $ours -= $noise{ours};
    printf "meanwhile, of %d cores: we used %.0f %%, others %.0f %%, the host "
        . "took %.0f %%\n", $cores,
        map { 100 * ($_ > 0 ? $_ : 0) / $total } $ours,
        $all - $noise{all} - $ours, $stolen - $noise{stolen};
    return;
}

1;
