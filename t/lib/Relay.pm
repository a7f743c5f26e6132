package Relay;

# A TCP relay in a process of its own, between two daemons or between a client
# and a daemon. It can be told to cut, stall, delay and reset.
#
#   my $relay = Relay->new(to => $port);      # $relay->port is where to dial
#   $relay->cut;        # end what is open, refuse what comes
#   $relay->stall;      # keep everything open, move no byte
#   $relay->delay(50);  # every byte is that many milliseconds late
#   $relay->rate(1e6);  # that many bytes a second in each direction
#   $relay->garble;     # change one bit of the next bytes that come
#   $relay->tape($path);# keep what links to come say: $path.0 what the dialler
#                       # says, $path.1 the other
#   $relay->reset;      # end what is open with a reset, accept what comes
#   $relay->heal;       # back to plain forwarding
#   $relay->bytes;      # bytes moved so far, both directions together
#   $relay->links;      # connections open now
#   $relay->links_made; # connections ever made

use strict;
use warnings;

use Errno qw(EAGAIN EWOULDBLOCK EINTR);
use IO::Socket::INET;
use POSIX ();
use Socket
    qw(AF_UNIX PF_UNSPEC SOCK_STREAM SOL_SOCKET SO_LINGER SO_RCVBUF IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

my $WINDOW = 262_144; # bytes held for a side that does not read
my $NARROW = 131_072; # the same with a rate: two segments of loopback

sub new
{
    my ($class, %opt) = @_;
    my $listen = _listen($opt{port} // 0);
    socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
        or die "socketpair: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        close $ours;
        $SIG{PIPE} = 'IGNORE';
        $SIG{$_}   = 'DEFAULT' for qw(INT TERM HUP);
        my $ok = eval { _run($theirs, $listen, $opt{to}, $listen->sockport) };
        warn $@ if !$ok;
        POSIX::_exit($ok ? 0 : 1);
    }
    close $theirs;
    $ours->autoflush(1);
    return bless {
        pid   => $pid,
        ctl   => $ours,
        port  => $listen->sockport,
        owner => $$,
    }, $class;
}

sub port { return $_[0]{port} }

sub _tell
{
    my ($self, $line) = @_;
    print { $self->{ctl} } "$line\n" or die "relay: $!";
    my $reply = readline $self->{ctl};
    die "relay is gone\n" if !defined $reply;
    chomp $reply;
    return $reply;
}

sub cut   { return $_[0]->_tell('cut') }
sub stall { return $_[0]->_tell('stall') }
sub reset { return $_[0]->_tell('reset') }
sub heal  { return $_[0]->_tell('heal') }
sub delay { return $_[0]->_tell("delay $_[1]") }
sub rate { return $_[0]->_tell("rate $_[1]") }
sub tape { return $_[0]->_tell("tape $_[1]") }
sub garble { return $_[0]->_tell('garble') }
sub bytes { return $_[0]->_tell('bytes') }
sub links { return $_[0]->_tell('links') }
sub links_made { return $_[0]->_tell('links_made') }

sub stop
{
    my ($self) = @_;
    return if !$self->{pid} || $self->{owner} != $$;
    local ($?, $!);
    close $self->{ctl};
    waitpid delete $self->{pid}, 0;
    return;
}

sub DESTROY { $_[0]->stop; return }

# --- the relaying process ---------------------------------------------------

sub _listen
{
    my ($port) = @_;
    return IO::Socket::INET->new(
        LocalAddr => '127.0.0.1',
        LocalPort => $port,
        Listen    => 64,
        ReuseAddr => 1,
        Blocking  => 0
    ) || die "relay cannot listen: $!";
}

# A pipe is one direction: from, to, chunks {due, data}, when it may send next.
sub _accept
{
    my ($state) = @_;
    my $in = $state->{listen}->accept or return;
    my $out = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1',
        PeerPort => $state->{to}
    );
    return if !$out; # $in closes: the dialler sees what a dead peer shows
    for my $sock ($in, $out) {
        $sock->blocking(0);
        setsockopt $sock, IPPROTO_TCP, TCP_NODELAY, 1;
    }
    my %link = (socks => [$in, $out]);
    $link{pipes} = [
        {from => $in,  to => $out, chunks => [], held => 0, next => 0},
        {from => $out, to => $in,  chunks => [], held => 0, next => 0}
    ];
    push @{$state->{links}}, \%link;
    $state->{made}++;
    return if !defined $state->{tape};
    for my $n (0, 1) {
        open $link{pipes}[$n]{tape}, '>', "$state->{tape}.$n"
            or die "relay: $state->{tape}.$n: $!";
    }
    return;
}

sub _drop
{
    my ($link, $reset) = @_;
    for my $sock (@{$link->{socks}}) {
        setsockopt $sock, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) if $reset;
        close $sock;
    }
    return;
}

sub _command
{
    my ($state, $line) = @_;
    my ($verb, $arg) = split ' ', $line;
    if ($verb eq 'bytes') {
        return $state->{bytes};
    }
    if ($verb eq 'links_made') {
        return $state->{made};
    }
    if ($verb eq 'links') {
        return scalar @{$state->{links}};
    }
    if ($verb eq 'cut' || $verb eq 'reset') {
        _drop($_, $verb eq 'reset') for splice @{$state->{links}};
    }
    if ($verb eq 'cut' && $state->{listen}) {
        close delete $state->{listen};
    }
    if ($verb eq 'stall') {
        $state->{stalled} = 1;
    }
    if ($verb eq 'delay') {
        $state->{delay} = $arg / 1000;
    }
    if ($verb eq 'rate' || $verb eq 'tape') {
        $state->{$verb} = $arg;
    }
    if ($verb eq 'rate') {
        # What waits is to wait at its sender, as before a slow network.
        setsockopt $_, SOL_SOCKET, SO_RCVBUF, $NARROW
            for map { @{$_->{socks}} } @{$state->{links}};
    }
    if ($verb eq 'garble') {
        $state->{garble} = 1;
    }
    if ($verb eq 'heal') {
        $state->{$_} = 0 for qw(stalled delay rate garble);
        $state->{listen} //= _listen($state->{port});
    }
    return 'ok';
}

# Reads one chunk; false when this direction has ended or failed.
sub _pull
{
    my ($state, $pipe) = @_;
    my $n = sysread $pipe->{from}, my $data, 65_536;
    if (!defined $n) {
        return $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
    }
    if ($n == 0) {
        $pipe->{ended} = 1;
        return 1;
    }
    syswrite $pipe->{tape}, $data if $pipe->{tape};
    if ($state->{garble}) {
        substr($data, $n / 2, 1) ^= "\x01";
        $state->{garble} = 0;
    }
    $pipe->{held} += $n;
    push @{$pipe->{chunks}}, {due => time + $state->{delay}, data => $data};
    return 1;
}

sub _push
{
    my ($state, $pipe) = @_;
    my $chunk = $pipe->{chunks}[0];
    my $now   = time;
    # With a rate, a hundredth of a second at a time.
    my $most = $state->{rate} ? 1 + int $state->{rate} / 100 : $WINDOW;
    my $n    = syswrite $pipe->{to}, $chunk->{data}, $most;
    if (!defined $n) {
        return $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
    }
    $state->{bytes} += $n;
    $pipe->{held}   -= $n;
    $pipe->{next} = ($pipe->{next} > $now - 0.1 ? $pipe->{next} : $now)
        + $n / $state->{rate}
        if $state->{rate};
    substr $chunk->{data}, 0, $n, '';
    shift @{$pipe->{chunks}} if $chunk->{data} eq '';
    return 1;
}

# Passes a half close on once all is sent; true when both directions ended.
sub _finish
{
    my ($link) = @_;
    for my $pipe (@{$link->{pipes}}) {
        next if !$pipe->{ended} || $pipe->{shut} || @{$pipe->{chunks}};
        shutdown $pipe->{to}, 1;
        $pipe->{shut} = 1;
    }
    return 2 == grep { $_->{shut} } @{$link->{pipes}};
}

# Marks what to wait for; gives the time until the next delayed chunk is due.
sub _interest
{
    my ($state, $rd, $wr) = @_;
    my $wait = 1;
    for my $pipe (map { @{$_->{pipes}} } @{$state->{links}}) {
        last if $state->{stalled};
        vec($$rd, fileno $pipe->{from}, 1) = 1
            if !$pipe->{ended} && $pipe->{held} < ($state->{rate} ? $NARROW : $WINDOW);
        my $chunk = $pipe->{chunks}[0] or next;
        my $due   = $chunk->{due} > $pipe->{next} ? $chunk->{due} : $pipe->{next};
        my $left  = $due - time;
        if ($left <= 0) {
            vec($$wr, fileno $pipe->{to}, 1) = 1;
        } elsif ($left < $wait) {
            $wait = $left;
        }
    }
    return $wait;
}

sub _move
{
    my ($state, $rd, $wr) = @_;
    my @alive;
    for my $link (@{$state->{links}}) {
        my $ok = 1;
        for my $pipe (@{$link->{pipes}}) {
            $ok &&= _pull($state, $pipe)
                if vec($rd, fileno $pipe->{from}, 1);
            $ok &&= _push($state, $pipe)
                if $ok && vec($wr, fileno $pipe->{to}, 1);
        }
        if (!$ok) {
            _drop($link, 1);
        } elsif (_finish($link)) {
            _drop($link, 0);
        } else {
            push @alive, $link;
        }
    }
    $state->{links} = \@alive;
    return;
}

sub _run
{
    my ($ctl, $listen, $to, $port) = @_;
    my %state = (
        listen  => $listen,
        to      => $to,
        port    => $port,
        links   => [],
        bytes   => 0,
        made    => 0,
        delay   => 0,
        rate    => 0,
        garble  => 0,
        stalled => 0
    );
    while (1) {
        my ($rd, $wr) = ('', '');
        vec($rd, fileno $ctl, 1) = 1;
        vec($rd, fileno $state{listen}, 1) = 1
            if $state{listen} && !$state{stalled};
        my $wait = _interest(\%state, \$rd, \$wr);
        my $n    = select $rd, $wr, undef, $wait;
        next if $n <= 0;
        _move(\%state, $rd, $wr);
        _accept(\%state)
            if $state{listen} && vec($rd, fileno $state{listen}, 1);
        next if !vec($rd, fileno $ctl, 1);
        sysread($ctl, my $line, 256) or return 1;
        syswrite $ctl, _command(\%state, $line) . "\n";
    }
}

1;
