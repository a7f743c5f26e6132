package Udp;

# A client that asks in datagrams.
#
#   my $u = Udp->new(port => N);
#   is $u->ask("get a\r\n"), "END\r\n", 'a miss';
#
# Replies come back as messages: series of datagrams put together, in order of
# arrival; each is checked to be whole.

use strict;
use warnings;

use Exporter qw(import);
use IO::Select;
use IO::Socket::IP;
use Socket qw(SOCK_DGRAM SOL_SOCKET SO_RCVBUF);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(frame);

# The frame of a request; options: seq, count, reserved.
sub frame
{
    my ($id, %opt) = @_;
    return pack 'nnnn', $id, $opt{seq} // 0, $opt{count} // 1,
        $opt{reserved} // 0;
}

sub new
{
    my ($class, %opt) = @_;
    my $sock = IO::Socket::IP->new(
        PeerHost => $opt{host} // '127.0.0.1',
        PeerPort => $opt{port},
        Type     => SOCK_DGRAM,
    ) or die "udp: $@";
    setsockopt $sock, SOL_SOCKET, SO_RCVBUF, 4 * 1024 * 1024;
    return bless {sock => $sock, id => int rand 60_000, problems => []}, $class;
}

# What was wrong with what came.
sub problems { return @{$_[0]{problems}} }

# Sends bytes as they are.
sub send_raw
{
    my ($self, $bytes) = @_;
    return send $self->{sock}, $bytes, 0;
}

# One datagram of at most 65536 bytes; undef after $seconds.
sub _receive
{
    my ($self, $seconds) = @_;
    my $sel = IO::Select->new($self->{sock});
    return undef if !$sel->can_read($seconds);
    my $bytes;
    return defined recv($self->{sock}, $bytes, 65_536, 0) ? $bytes : undef;
}

sub _problem
{
    my ($self, $text) = @_;
    push @{$self->{problems}}, $text;
    return;
}

# Puts datagrams together to messages: [message, ...].
sub _messages
{
    my ($self, $datagrams) = @_;
    my @messages;
    my $left = 0;
    my $next = 0;
    for my $datagram (@$datagrams) {
        my ($id, $seq, $count, $zero) = unpack 'nnnn', $datagram;
        my $payload = substr $datagram, 8;
        $self->_problem("id $id") if $id != $self->{id};
        $self->_problem("reserved $zero") if $zero;
        $self->_problem(length($datagram) . ' bytes') if length $datagram > 1400;
        if (!$left) {
            push @messages, '';
            ($left, $next) = ($count, 0);
        }
        $self->_problem("seq $seq of $count") if $seq != $next++;
        $messages[-1] .= $payload;
        $left-- if $left;
        $self->_problem('short of 1400 bytes')
            if $left && length $datagram != 1400;
    }
    $self->_problem("$left missing") if $left;
    return wantarray ? @messages : join ' | ', @messages;
}

# Sends requests in one datagram and waits for so many messages, in $seconds at
# most: where several workers read, nothing tells the end.
sub expect
{
    my ($self, $requests, $count, $seconds) = @_;
    my ($have, $left, @datagrams) = (0, 0);
    my $until = time + ($seconds // 10);
    $self->{id} = ($self->{id} + 2) % 60_000;
    $self->send_raw(frame($self->{id}) . $requests);
    while (($have < $count || $left) && time < $until) {
        push @datagrams, $self->_receive(0.05) // next;
        my ($seq, $of) = unpack 'x2nn', $datagrams[-1];
        $have++ if $seq == 0;
        $left = $of - $seq - 1;
    }
    return $self->_messages(\@datagrams);
}

# Sends requests in one datagram, and another behind it to know the end of the
# replies, again when that is lost. Gives the messages. Of a daemon with one
# worker, which answers in order.
sub messages
{
    my ($self, $requests, %opt) = @_;
    $self->{id} = ($self->{id} + 2) % 60_000;
    my $end = frame($self->{id} + 1) . "mn\r\n";
    $self->send_raw(frame($self->{id}, %opt) . $requests);
    my @datagrams;
    my $until = time + 10;
    my $sent  = 0;
    while (time < $until) {
        $self->send_raw($end) if $sent++ % 20 == 0;
        my $datagram = $self->_receive(0.05) // next;
        return $self->_messages(\@datagrams)
            if $datagram eq frame($self->{id} + 1) . "MN\r\n";
        push @datagrams, $datagram
            if unpack('n', $datagram) != $self->{id} - 1;
    }
    $self->_problem('no end');
    return $self->_messages(\@datagrams);
}

# The messages, ` | ` between them.
sub ask
{
    my ($self, $requests, %opt) = @_;
    return join ' | ', $self->messages($requests, %opt);
}

1;
