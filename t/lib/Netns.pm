package Netns;

# A private network for tests: nodes on a switch, each in a network namespace
# of its own, and ways to disturb what goes between them.
#
#   my $net = Netns->new(2);      # skips the test where it cannot be made
#   $net->addr(0);                # the address of a node
#   $net->enter(0);               # the words before a command to run there
#   $net->cut(0);                 # pull the cable of a node
#   $net->hole(0, 1);             # what these two send each other is lost
#   $net->lose(0, 1);             # what 0 sends to 1 is lost
#   $net->slow('2mbit');          # what any node can send
#   $net->heal;                   # end all that
#
# No namespace has a name, and none is that of the test: each is held by a
# process that ends when the test does, however it ends. So there is nothing
# to remove, and tests beside each other never meet. Clients reach a daemon
# through a unix socket, which no fault touches.

use strict;
use warnings;

use IPC::Open3 qw(open3);
use Test::Builder;

my $NET = '10.52.0';

# What a node has to be told to drop the packets of an address.
my %firewall = (
    nft => {
        begin => [
            'nft',
            'add table ip fault; add chain ip fault in'
                . ' { type filter hook input priority 0; }'
        ],
        drop => [qw(nft add rule ip fault in ip saddr ADDR drop)],
        end  => [qw(nft flush chain ip fault in)],
    },
    iptables => {
        begin => [qw(iptables -L -n)],
        drop  => [qw(iptables -A INPUT -s ADDR -j DROP)],
        end   => [qw(iptables -F INPUT)],
    },
);

# $count nodes, numbered from 0, that reach each other.
sub new
{
    my ($class, $count) = @_;
    my $self = bless {nodes => [], faults => {}}, $class;
    if (!eval { $self->_make($count); $self->_try_faults; 1 }) {
        (my $why = $@) =~ s/\s+/ /g;
        Test::Builder->new->skip_all("no network namespaces here: $why");
    }
    return $self;
}

sub nodes { return scalar @{$_[0]{nodes}} }

sub addr { return "$NET." . ($_[1] + 1) }

sub enter { return _enter($_[0]{nodes}[$_[1]]) }

sub _enter { return ('nsenter', "--net=/proc/$_[0]{pid}/ns/net", '--') }

# --- making it ------------------------------------------------------------------

# A process that does nothing but hold a namespace, until our end of its input
# is closed.
sub _hold
{
    my $pid = open3(my $in, my $out, undef, 'unshare', '--net', 'sh', '-c',
        'echo up && exec cat');
    my $line = readline $out;
    die $line // "unshare ended\n" if ($line // '') ne "up\n";
    return {pid => $pid, in => $in, out => $out};
}

# Runs a command where $holder is; dies with what it said when it fails.
sub _run
{
    my ($holder, @command) = @_;
    open my $fh, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', _enter($holder),
        @command
        or die "sh: $!\n";
    my $said = join '', readline $fh;
    close $fh or die "@command: $said\n";
    return $said;
}

# Several commands of ip, one a line.
sub _ip
{
    my ($holder, @lines) = @_;
    _run($holder, 'sh', '-c', 'echo "$1" | ip -batch -', 'sh', join "\n", @lines);
    return;
}

sub _make
{
    my ($self, $count) = @_;
    die "needs root\n" if $> != 0;
    $self->{switch} = _hold();
    $self->{nodes}  = [map { _hold() } 1 .. $count];
    my $nodes = $self->{nodes};
    _ip(
        $self->{switch},
        'link add switch type bridge',
        'link set switch up',
        map {
            (
                "link add port$_ type veth"
                    . " peer name wire netns $nodes->[$_]{pid}",
                "link set port$_ master switch",
                "link set port$_ up"
            )
        } 0 .. $count - 1
    );
    for my $i (0 .. $count - 1) {
        _ip(
            $nodes->[$i],
            'link set lo up',
            'addr add ' . $self->addr($i) . '/24 dev wire',
            'link set wire up'
        );
    }
    return;
}

# A kernel or a host may lack one of the faults: better found here than in the
# middle of a test.
sub _try_faults
{
    my ($self) = @_;
    my @why;
    for my $name (qw(nft iptables)) {
        $self->{firewall} = $firewall{$name};
        last if eval {
            _run($_, @{$self->{firewall}{begin}}) for @{$self->{nodes}};
            $self->hole(0, 1);
            1;
        };
        push @why, $@;
    }
    die @why if @why == 2;
    $self->slow('2mbit');
    $self->heal;
    return;
}

# --- faults ---------------------------------------------------------------------

sub _fault
{
    my ($self, $undo, $holder, @command) = @_;
    _run($holder, @command);
    $self->{faults}{"$holder->{pid} @$undo"} = [$holder, @$undo];
    return;
}

sub cut
{
    my ($self, $i) = @_;
    my @set = (qw(ip link set), "port$i");
    return $self->_fault([@set, 'up'], $self->{switch}, @set, 'down');
}

sub lose
{
    my ($self, $from, $to) = @_;
    my $address = $self->addr($from);
    my $wall    = $self->{firewall};
    return $self->_fault($wall->{end}, $self->{nodes}[$to],
        map { $_ eq 'ADDR' ? $address : $_ } @{$wall->{drop}});
}

sub hole
{
    my ($self, $a, $b) = @_;
    $self->lose($a, $b);
    $self->lose($b, $a);
    return;
}

sub slow
{
    my ($self, $rate) = @_;
    my @dev = qw(dev wire root);
    $self->_fault([qw(tc qdisc del), @dev], $_, qw(tc qdisc replace), @dev,
        qw(tbf rate), $rate, qw(burst 16kb latency 2s))
        for @{$self->{nodes}};
    return;
}

sub heal
{
    my ($self) = @_;
    _run(@$_) for values %{$self->{faults}};
    $self->{faults} = {};
    return;
}

1;
