package Memcached;

# Starts daemons for tests and makes sure that none dies, leaks or lingers
# unseen.
#
#   use FindBin;
#   use lib "$FindBin::Bin/lib";
#   use Memcached;
#
#   my $mc = start_memcached('-m', 100);       # waits until it answers
#   my $c  = $mc->client;                      # see Client.pm
#   $c->says("get a\r\n", "END\r\n", 'a miss');
#   my $stats = $mc->stats;                    # $mc->stats('settings')
#   $mc->stop;                                 # or leave it to the end
#
# The binary is $MEMCACHED, else ./memcached, else the one above the test.
# A daemon that ends by a signal, with another exit code than 0, or with a
# report of a sanitizer fails the test, whenever that happens.

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter qw(import);
use File::Temp qw(tempdir);
use FindBin;
use IO::Socket::INET;
use POSIX qw(WNOHANG);
use Socket qw(PF_UNIX SOCK_STREAM pack_sockaddr_un);
use Test::Builder;
use Time::HiRes qw(time);

use Client;
use Relay;

our @EXPORT = qw(
    binary free_port has_replication is_sanitized run_binary start_memcached
    start_pair spawn_memcached wait_for linked scratch scratch_file
);

$SIG{PIPE} = 'IGNORE';
$SIG{$_} = sub { exit 130 } for qw(INT TERM HUP);

my @running;
my @claims;
my $owner    = $$;
my $problems = 0;
my $scratch;

# --- small tools --------------------------------------------------------------

# Polls until the block is true; gives its value, false when time is up.
sub wait_for(&;$)
{
    my ($condition, $seconds) = @_;
    my $end = time + ($seconds // 10);
    while (1) {
        my $value = $condition->();
        return $value if $value;
        return 0      if time >= $end;
        select undef, undef, undef, 0.005;
    }
}

# A directory of this test, removed at its end.
sub scratch { return $scratch //= tempdir('mcXXXXXX', TMPDIR => 1, CLEANUP => 1) }

# Writes a file there; gives its path.
sub scratch_file
{
    my ($name, $text, $mode) = @_;
    my $path = scratch() . "/$name";
    open my $fh, '>', $path or die "$path: $!";
    print $fh $text;
    close $fh or die "$path: $!";
    chmod $mode // 0600, $path or die "$path: $!";
    return $path;
}

sub binary
{
    for my $path ($ENV{MEMCACHED} || (), './memcached',
        "$FindBin::Bin/../memcached")
    {
        return abs_path($path) if -x $path && !-d $path;
    }
    die "no memcached to test: build it, or set MEMCACHED\n";
}

# Runs the binary to its end: ($exit, $stdout, $stderr); $exit is 128 + n after
# signal n, -1 if it had to be stopped.
sub run_binary
{
    my (@args) = @_;
    my $base = scratch() . "/run$$";
    unlink "$base.out", "$base.err";
    my $pid  = _fork_exec("$base.out", "$base.err", [binary(), @args]);
    my $exit = _reap($pid, 20);
    if (!defined $exit) {
        kill 'KILL', $pid;
        waitpid $pid, 0;
    }
    return (_exit_code($exit), _slurp("$base.out"), _slurp("$base.err"));
}

my $help;

sub _help
{
    $help //= (run_binary('-h'))[1];
    return $help;
}

# Was the binary built with --enable-replication?
sub has_replication { return _help() =~ /^-x/m }

# Sanitizers slow everything down and hide memory figures.
sub is_sanitized
{
    open my $fh, '<', binary() or die "$!";
    binmode $fh;
    local $/ = \1_048_576;
    my $tail = '';
    while (my $block = readline $fh) {
        return 1 if "$tail$block" =~ /__(?:asan|tsan)_init/;
        $tail = substr $block, -32;
    }
    return 0;
}

# A port nobody else gets while this test lives: outside the kernel's own
# range, and claimed by the name of an abstract socket.
sub free_port
{
    for (1 .. 2000) {
        my $port = 12_000 + int rand 20_000;
        socket my $claim, PF_UNIX, SOCK_STREAM, 0 or die "socket: $!";
        bind $claim, pack_sockaddr_un("\0memcached-test-port-$port") or next;
        my $probe = IO::Socket::INET->new(
            LocalAddr => '0.0.0.0',
            LocalPort => $port,
            Listen    => 1
        ) or next;
        close $probe;
        push @claims, $claim;
        return $port;
    }
    die "no free port\n";
}

sub _slurp
{
    my ($path) = @_;
    open my $fh, '<', $path or return '';
    local $/;
    my $text = readline $fh;
    return $text // '';
}

sub _fork_exec
{
    my ($out, $err, $argv, %env) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    @ENV{keys %env} = values %env;
    open STDIN,  '<',  '/dev/null' or POSIX::_exit(126);
    open STDOUT, '>>', $out        or POSIX::_exit(126);
    open STDERR, '>>', $err        or POSIX::_exit(126);
    $SIG{PIPE} = 'DEFAULT';
    exec {$argv->[0]} @$argv or POSIX::_exit(127);
}

sub _reap
{
    my ($pid, $seconds) = @_;
    my $status;
    wait_for {
        my $got = waitpid $pid, WNOHANG;
        $status = $? if $got == $pid;
        $got == $pid;
    }
    $seconds;
    return $status;
}

sub _exit_code
{
    my ($status) = @_;
    return -1 if !defined $status;
    return $status & 127 ? 128 + ($status & 127) : $status >> 8;
}

# --- daemons ------------------------------------------------------------------

# Starts a daemon without waiting for it. A hash first: unix => 1 (listen on a
# socket file), port => N (default: kernel's choice), bare => 1 (add no option
# at all but -u), binary => PATH (another daemon than the one under test),
# under => [WORDS] (a command that becomes the daemon, such as nsenter).
sub spawn_memcached
{
    my (@args) = @_;
    my $opt  = ref $args[0] ? shift @args : {};
    my $dir  = tempdir('mcdXXXXXX', DIR => scratch());
    my $self = bless {
        dir   => $dir,
        err   => "$dir/stderr",
        owner => $$,
        host  => $opt->{host} // '127.0.0.1',
        port  => $opt->{port},
    }, __PACKAGE__;
    my @given = $> == 0 ? ('-u', 'root') : ();
    if ($opt->{unix}) {
        $self->{path} = "$dir/sock";
        push @given, '-s', $self->{path};
    } elsif (!$opt->{bare}) {
        push @given, '-l', $self->{host} if !grep { /^-l/ } @args;
        push @given, '-p', $self->{port} // -1;
    }
    push @given, '-X', free_port()
        if !$opt->{bare}
        && !$opt->{binary}
        && !grep({ /^-X/ } @args)
        && has_replication();
    $self->{argv} = [
        @{$opt->{under} // []}, $opt->{binary} // binary(), @given, @args
    ];
    $self->{pid}  = _fork_exec("$dir/stdout", $self->{err}, $self->{argv},
        MEMCACHED_PORT_FILENAME => "$dir/ports");
    push @running, $self;
    return $self;
}

# Starts a daemon and waits until it answers; dies if it does not.
sub start_memcached
{
    my $self = spawn_memcached(@_);
    $self->wait_ready(40)
        or die "daemon does not answer: @{$self->{argv}}\n" . $self->stderr;
    return $self;
}

# Starts it again with the same arguments, after stop or kill.
sub restart
{
    my ($self, %opt) = @_;
    unlink "$self->{dir}/ports";
    $self->{pid} = _fork_exec("$self->{dir}/stdout", $self->{err},
        $self->{argv}, MEMCACHED_PORT_FILENAME => "$self->{dir}/ports");
    push @running, $self;
    return $self if $opt{nowait};
    $self->wait_ready(40) or die "daemon does not answer again\n";
    return $self;
}

sub wait_ready
{
    my ($self, $seconds) = @_;
    return wait_for {
        $self->alive or return 0;
        my $c = $self->try_client or return 0;
        my $v = $c->ask('version') // '';
        $v =~ /\AVERSION /
    }
    $seconds;
}

sub pid { return $_[0]{pid} }

sub alive
{
    my ($self) = @_;
    return 0 if !$self->{pid};
    my $got = waitpid $self->{pid}, WNOHANG;
    return 1 if $got == 0;
    $self->_ended($?, 1);
    return 0;
}

# All ports of the port file, e.g. [['TCP INET', 1234]].
sub ports
{
    my ($self) = @_;
    return map { /^(.*): (\d+)$/ ? [$1, $2] : () } split /\n/,
        _slurp("$self->{dir}/ports");
}

sub port
{
    my ($self) = @_;
    return $self->{port} if defined $self->{port};
    for my $row ($self->ports) {
        return $row->[1] if $row->[0] =~ /^TCP/;
    }
    return undef;
}

sub try_client
{
    my ($self, %opt) = @_;
    return Client->new(path => $self->{path}, %opt) if $self->{path};
    my $port = $self->port // return undef;
    return Client->new(host => $self->{host}, port => $port, %opt);
}

sub client
{
    my ($self, %opt) = @_;
    return $self->try_client(%opt)
        // die "cannot connect: $!\n" . $self->stderr;
}

# The rows of `stats` or `stats $sub` as a hash; in a list, in order.
sub stats
{
    my ($self, $sub) = @_;
    my $c = $self->client;
    $c->send(defined $sub ? "stats $sub\r\n" : "stats\r\n");
    my @rows = map { /\ASTAT (\S+) ?(.*?)\r\n\z/s ? [$1, $2] : () }
        $c->read_to(qr/\A(?:END|ERROR|CLIENT_ERROR.*)\r\n/) =~ /(.*\n)/g;
    return wantarray ? @rows : {map { @$_ } @rows};
}

# Resident bytes, and CPU seconds used so far.
sub rss
{
    my ($self) = @_;
    return (split ' ', _slurp("/proc/$self->{pid}/statm"))[1] * 4096;
}

sub cpu
{
    my ($self) = @_;
    my ($rest) = _slurp("/proc/$self->{pid}/stat") =~ /\)\s+(.*)/s;
    my @field = split ' ', $rest;
    return ($field[11] + $field[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

sub stderr { return _slurp($_[0]{err}) }

sub stdout { return _slurp("$_[0]{dir}/stdout") }

sub signal
{
    my ($self, $name) = @_;
    return kill $name, $self->{pid};
}

# Waits for an end the test has asked for by other means (shutdown, a signal):
# gives the exit code, 128 + n after signal n, -1 when it does not end.
sub wait_exit
{
    my ($self, $seconds) = @_;
    return $self->{exit} if !$self->{pid};
    my $status = _reap($self->{pid}, $seconds // 20);
    return -1 if !defined $status;
    $self->_ended($status, 0);
    return $self->{exit};
}

# SIGTERM, and everything must be in order.
sub stop
{
    my ($self) = @_;
    return if !$self->{pid} || $self->{owner} != $$;
    my $status = do { my $got = waitpid $self->{pid}, WNOHANG;
        $got ? $? : undef };
    if (defined $status) {
        $self->_ended($status, 1);
        return;
    }
    kill 'CONT', $self->{pid};
    kill 'TERM', $self->{pid};
    $status = _reap($self->{pid}, 30);
    if (!defined $status) {
        _problem($self, 'does not end on SIGTERM');
        kill 'KILL', $self->{pid};
        waitpid $self->{pid}, 0;
    }
    $self->_ended($status // 0, 0);
    _problem($self, "exit code $self->{exit}") if $self->{exit};
    return;
}

# Ends it without warning, as a crash would.
sub kill_hard
{
    my ($self) = @_;
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    @running = grep { $_ != $self } @running;
    delete $self->{pid};
    return;
}

sub _ended
{
    my ($self, $status, $unasked) = @_;
    $self->{exit} = _exit_code($status);
    delete $self->{pid};
    @running = grep { $_ != $self } @running;
    _problem($self, "ended by itself, code $self->{exit}")
        if $unasked && !$self->{may_end};
    my $err = $self->stderr;
    _problem($self, 'a sanitizer reports')
        if $err =~ /(?:Address|Thread|Leak|Memory)Sanitizer|runtime error:/;
    return;
}

# For daemons that are expected to end by themselves.
sub may_end { $_[0]{may_end} = 1; return $_[0] }

sub _problem
{
    my ($self, $text) = @_;
    $problems++;
    my $test = Test::Builder->new;
    $test->diag("DAEMON: $text: @{$self->{argv}}");
    my $err = $self->stderr;
    $test->diag(substr $err, 0, 20_000) if $err ne '';
    $test->diag('...', substr $err, -4000) if length $err > 20_000;
    return;
}

END {
    if ($$ == $owner) {
        my $code = $?;
        $_->stop for my @all = @running;    # stop takes it off the list
        $? = $code || ($problems ? 1 : 0);
    }
}

# --- pairs --------------------------------------------------------------------

# Two linked daemons. Options: a => [...], b => [...] (more arguments), relay
# => 1 (a relay on the way from a to b and one from b to a), dials => 'ab' (the
# default), 'a' or 'b', nowait => 1 (do not wait for the link).
# Gives ($a, $b), followed by the relay or relays of those who dial.
sub start_pair
{
    my (%opt) = @_;
    my $dials = $opt{dials} // 'ab';
    my %rep   = (a => free_port(), b => free_port());
    my (%relay, %mc);
    for my $name (qw(a b)) {
        my $other = $name eq 'a' ? 'b' : 'a';
        my $to    = $rep{$other};
        my @args  = ('-X', $rep{$name});
        if ($dials =~ /$name/) {
            if ($opt{relay}) {
                $relay{$name} = Relay->new(to => $to);
                $to = $relay{$name}->port;
            }
            @args = ('-x', '127.0.0.1', '-X', "$rep{$name}:$to");
        }
        $mc{$name} = spawn_memcached({port => free_port()}, @args,
            @{$opt{$name} // []});
        $mc{$name}{rep_port} = $rep{$name};
    }
    for my $mc (@mc{qw(a b)}) {
        $mc->wait_ready(40) or die "no answer from the pair\n" . $mc->stderr;
    }
    if (!$opt{nowait}) {
        wait_for { linked($mc{a}) && linked($mc{b}) } 20
            or die "the pair does not link\n",
            map { $_->stderr } @mc{qw(a b)};
    }
    return (@mc{qw(a b)}, map { $relay{$_} // () } qw(a b));
}

# The port a daemon listens on for its peer, where the pair helper set it.
sub rep_port { return $_[0]{rep_port} }

# Does every peer row say that the link is up and the copy is done?
sub linked
{
    my ($mc) = @_;
    my %row  = map { @$_ } $mc->stats('replication');
    my @link = map { $row{$_} } grep { /link_status\z/ } keys %row;
    return @link && !grep { $_ ne 'linked' } @link;
}

1;
