package Activate;

# A service manager in small: opens sockets and becomes the daemon, as systemd
# does (sd_listen_fds), and hears what the daemon says (sd_notify).
#
#   my $manager = Activate->new;                  # $manager->heard: [lines]
#   start_memcached({under => $manager->under('client=127.0.0.1:1234')});
#
# A socket is NAME=HOST:PORT, or NAME=/path, or NAME=!HOST:PORT for one that
# does not listen.

use strict;
use warnings;

use Fcntl qw(F_DUPFD);
use IO::Socket::IP;
use IO::Socket::UNIX;
use POSIX ();
use Socket qw(SOCK_DGRAM SOCK_STREAM);

use Memcached;

sub new
{
    my ($class, %opt) = @_;
    my $path = scratch() . "/notify" . ++our $count;
    $path = "\0memcached-test-$$-$count" if $opt{abstract};
    my $sock = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path)
        or die "notify: $!";
    chmod 0777, $path if !$opt{abstract};
    $sock->blocking(0);
    return bless {sock => $sock, path => $path =~ s/\A\0/@/r, heard => []},
        $class;
}

# All that was said so far, a line each.
sub heard
{
    my ($self) = @_;
    while (defined $self->{sock}->recv(my $text, 4096)) {
        push @{$self->{heard}}, split /\n/, $text;
    }
    return $self->{heard};
}

# The words that become the daemon.
sub under
{
    my ($self, @sockets) = @_;
    return [$^X, (map { "-I$_" } @INC), '-MActivate', '-e',
        'Activate::become(@ARGV)', $self->{path}, @sockets, '--'];
}

sub _open
{
    my ($where) = @_;
    if ($where =~ m{\A/}) {
        unlink $where;
        return IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $where,
            Listen => 5);
    }
    my ($silent, $host, $port) = $where =~ /\A(!?)(.*):(\d+)\z/;
    return IO::Socket::IP->new(LocalHost => $host, LocalPort => $port,
        ReuseAddr => 1, $silent ? (Proto => 'udp') : (Listen => 5));
}

sub become
{
    my ($notify, @words) = @_;
    my (@names, @open);
    while (defined(my $word = shift @words)) {
        last if $word eq '--';
        my ($name, $where) = split /=/, $word, 2;
        push @names, $name;
        push @open, _open($where) // die "$where: $!";
    }
    # First out of the way of the numbers they are to have.
    my @fds = map { fcntl($_, F_DUPFD, 100) // die "dup: $!" } @open;
    POSIX::dup2($fds[$_], 3 + $_) for 0 .. $#fds;
    POSIX::close($_) for @fds;
    $ENV{LISTEN_FDS}     = @fds;
    $ENV{LISTEN_FDNAMES} = join ':', @names;
    $ENV{LISTEN_PID}     = $$;
    $ENV{NOTIFY_SOCKET}  = $notify;
    exec {$words[0]} @words or die "$words[0]: $!";
}

1;
