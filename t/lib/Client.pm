package Client;

# A raw connection to a daemon: bytes in, bytes out, every wait has an end.

use strict;
use warnings;

use Errno qw(EAGAIN EWOULDBLOCK EINTR);
use IO::Socket::IP;
use IO::Socket::UNIX;
use Socket qw(SOL_SOCKET SO_LINGER SO_RCVBUF IPPROTO_TCP TCP_NODELAY);
use Test::Builder;
use Time::HiRes qw(time);

my $CHUNK = 262_144;

# Connects to port => N (host => 127.0.0.1) or path => P. Options: timeout
# (seconds for each wait), rcvbuf, nowait (do not wait for the connection to be
# made: the first send does). Returns undef, with $! set, when refused.
sub new
{
    my ($class, %opt) = @_;
    my $sock;
    if (defined $opt{path}) {
        $sock = IO::Socket::UNIX->new(Peer => $opt{path});
    } else {
        $sock = IO::Socket::IP->new(
            PeerHost => $opt{host} // '127.0.0.1',
            PeerPort => $opt{port},
            Type     => Socket::SOCK_STREAM(),
            Blocking => !$opt{nowait},
            ($opt{rcvbuf}
                ? (Sockopts => [[SOL_SOCKET, SO_RCVBUF, $opt{rcvbuf}]])
                : ()),
        );
    }
    return undef if !$sock;
    setsockopt($sock, IPPROTO_TCP, TCP_NODELAY, 1) if !defined $opt{path};
    $sock->blocking(0);
    return bless {
        sock    => $sock,
        buf     => '',
        eof     => 0,
        timeout => $opt{timeout} // 30,
        opt     => \%opt,
    }, $class;
}

# Another connection to where this one goes, each time the same.
sub beside
{
    my ($self) = @_;
    return $self->{beside} //= Client->new(%{$self->{opt}}) // die "no other: $!\n";
}

sub sock { return $_[0]{sock} }

# Bytes a socket of TLS holds already, which no select tells of.
sub _pending
{
    my ($self) = @_;
    return $self->{sock}->can('pending') && $self->{sock}->pending;
}

# Takes what the kernel has; notes the end of the stream.
sub _fill
{
    my ($self) = @_;
    my $got;
    do {
        $got = sysread $self->{sock}, $self->{buf}, $CHUNK,
            length $self->{buf};
    } while ($got && $self->_pending);
    if (!defined $got) {
        return if $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
        $self->{reset} = "$!";
    }
    $self->{eof} = 1 if !$got;
    return;
}

# Sends all of $data, reading meanwhile so that neither side can block the
# other. Returns the number of bytes the kernel took: less when the peer closed.
sub send
{
    my ($self, $data) = @_;
    return $self->_send($data, 1);
}

# The same without reading: for clients that are slow on purpose. Stops when
# nothing moves for $seconds.
sub send_only
{
    my ($self, $data, $seconds) = @_;
    return $self->_send($data, 0, $seconds);
}

sub _send
{
    my ($self, $data, $reads, $seconds) = @_;
    my $fd  = fileno $self->{sock};
    my $off = 0;
    my $end = time + ($seconds // $self->{timeout});
    while ($off < length $data && time < $end) {
        my ($rd, $wr) = ('', '');
        vec($wr, $fd, 1) = 1;
        vec($rd, $fd, 1) = 1 if $reads && !$self->{eof};
        next if select($rd, $wr, undef, 0.1) <= 0;
        $self->_fill if vec($rd, $fd, 1);
        next         if !vec($wr, $fd, 1);
        my $n = syswrite $self->{sock}, $data, $CHUNK, $off;
        if (defined $n) {
            $off += $n;
            $end = time + ($seconds // $self->{timeout});
        } elsif ($! != EAGAIN && $! != EWOULDBLOCK && $! != EINTR) {
            last;
        }
    }
    return $off;
}

# Reads until $done->() holds, the stream ends or the time is up.
sub _read_while
{
    my ($self, $done, $seconds) = @_;
    my $end = time + ($seconds // $self->{timeout});
    # Not IO::Select: it walks all descriptors below this one.
    my $rd = '';
    until ($done->() || $self->{eof}) {
        my $left = $end - time;
        last if $left <= 0;
        vec($rd, fileno $self->{sock}, 1) = 1;
        $self->_fill if select($rd, undef, undef, $left) > 0;
    }
    return $done->();
}

# The next $n bytes; fewer at the end of the stream or of the time.
sub read
{
    my ($self, $n, $seconds) = @_;
    $self->_read_while(sub { length $self->{buf} >= $n }, $seconds);
    return substr $self->{buf}, 0, $n, '';
}

# The next line with its end; undef when none came.
sub line
{
    my ($self, $seconds) = @_;
    my $ok = $self->_read_while(sub { index($self->{buf}, "\n") >= 0 },
        $seconds);
    return undef if !$ok;
    return substr $self->{buf}, 0, 1 + index($self->{buf}, "\n"), '';
}

# Everything up to and including the first line that matches.
sub read_to
{
    my ($self, $re, $seconds) = @_;
    my $text = '';
    while (defined(my $line = $self->line($seconds))) {
        $text .= $line;
        return $text if $line =~ $re;
    }
    return $text;
}

# Everything until what was read ends with $bytes.
sub read_ending
{
    my ($self, $bytes, $seconds) = @_;
    my $n = length $bytes;
    $self->_read_while(
        sub {
            my $have = length $self->{buf};
            $have >= $n && substr($self->{buf}, -$n) eq $bytes;
        },
        $seconds
    );
    return substr $self->{buf}, 0, length $self->{buf}, '';
}

# Everything until the peer closes.
sub read_all
{
    my ($self, $seconds) = @_;
    $self->_read_while(sub { 0 }, $seconds);
    return substr $self->{buf}, 0, length $self->{buf}, '';
}

# True once the peer has closed and nothing is left to read.
sub closed
{
    my ($self, $seconds) = @_;
    $self->_read_while(sub { $self->{eof} }, $seconds);
    return $self->{eof} && $self->{buf} eq '';
}

sub eof { return $_[0]{eof} }

# Sends a request and returns the first line of the answer without its end.
sub ask
{
    my ($self, $line) = @_;
    $self->send("$line\r\n");
    my $reply = $self->line;
    $reply =~ s/\r\n\z// if defined $reply;
    return $reply;
}

sub set
{
    my ($self, $key, $value, $flags, $exptime) = @_;
    return $self->ask(sprintf "set %s %s %s %d\r\n%s", $key, $flags // 0,
        $exptime // 0, length $value, $value);
}

# The value of $key, undef on a miss.
sub get
{
    my ($self, $key) = @_;
    return ($self->gets($key))[0];
}

# (value, flags, cas), nothing on a miss.
sub gets
{
    my ($self, $key) = @_;
    my $head = $self->ask("gets $key") // die "no answer to gets $key";
    return if $head eq 'END';
    my ($flags, $len, $cas) = $head =~ /\AVALUE [^ ]+ (\d+) (\d+) (\d+)\z/
        or die "unexpected answer to gets: $head";
    my $value = $self->read($len);
    my $tail  = $self->read(7);
    die "bad end of value: $tail" if $tail ne "\r\nEND\r\n";
    return ($value, $flags, $cas);
}

# One test: $request is answered by exactly $expect, in any pieces.
sub says
{
    my ($self, $request, $expect, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $self->send($request);
    $self->_read_while(
        sub {
            my $have = substr $self->{buf}, 0, length $expect;
            $have eq $expect
                || $have ne substr $expect, 0, length $have;
        }
    );
    my $got = substr $self->{buf}, 0, length $expect, '';
    return 1
        if same_bytes($got, $expect, $name // shown($request, 60));
    $self->_read_while(sub { 0 }, 0.2); # so that the next test starts clean
    Test::Builder->new->diag('    then: ' . shown($self->{buf}, 200))
        if $self->{buf} ne '';
    $self->{buf} = '';
    return 0;
}

# One test: nothing more is on its way, and the connection still answers.
sub nothing_more
{
    my ($self, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $self->send("cache_memlimit 1\r\n");
    my $got = $self->line // '(closed)';
    return same_bytes(
        $got,
        "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n",
        $name // 'nothing more, and still answering'
    );
}

# One test: the connection ends and nothing is left unread.
sub closes
{
    my ($self, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $test = Test::Builder->new;
    return $test->ok($self->closed, $name // 'connection closed')
        || $test->diag('left: ', shown($self->{buf}, 200));
}

# One test: $request is answered by exactly $expect, and then the peer ends the
# stream, not by a reset.
sub ends_with
{
    my ($self, $request, $expect, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $self->send($request);
    my $got = $self->read_all;
    $got .= '(still open)'             if !$self->{eof};
    $got .= "(ended: $self->{reset})" if $self->{reset};
    return same_bytes($got, $expect, $name // shown($request, 60));
}

sub shutdown_write { shutdown $_[0]{sock}, 1; return }

sub close { CORE::close($_[0]{sock}); return }

# Closes with a reset instead of a FIN.
sub reset
{
    my ($self) = @_;
    setsockopt $self->{sock}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
    CORE::close($self->{sock});
    return;
}

# A readable, short form of bytes.
sub shown
{
    my ($bytes, $max) = @_;
    my $text = substr $bytes, 0, $max;
    $text =~ s/\\/\\\\/g;
    $text =~ s/\r/\\r/g;
    $text =~ s/\n/\\n/g;
    $text =~ s/#/\\x23/g;
    $text =~ s/([^\x20-\x7e])/sprintf '\\x%02x', ord $1/ge;
    $text .= '...' if length $bytes > $max;
    return $text;
}

# is() for bytes that may be many: shows only where they first differ.
sub same_bytes
{
    my ($got, $want, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $test = Test::Builder->new;
    return 1 if $test->ok($got eq $want, $name);
    my $common = 0;
    if (($got ^ $want) =~ /\A(\0+)/) {
        $common = length $1;
    }
    my $from = $common > 40 ? $common - 40 : 0;
    $test->diag(sprintf "got %d bytes, expected %d, first difference at %d",
        length $got, length $want, $common);
    $test->diag('     got: ' . shown(substr($got,  $from), 120));
    $test->diag('expected: ' . shown(substr($want, $from), 120));
    return 0;
}

1;
