package Rogue;

# A peer made by hand, that says on the replication port what it is told to.
#
#   my $p = Rogue->new($port, run => 7);   # said hello; ->{answer} is the line
#   $p->batch(resume(0), message(...));    # one batch
#   $p->until_copied;                      # has read COPY_END
#   $p->until_read($bytes);
#   $p->said_error(1);                     # one test: ERROR 1, and the end

use strict;
use warnings;

use parent 'Client';

use Exporter qw(import);
use Test::Builder;
use Time::HiRes qw(time);

our @EXPORT = qw(message number resume);

my %TYPE = (
    DELETE   => 5,  OFFER => 10, WANT   => 11, GONE   => 12, POSITION   => 14,
    ACK      => 15, SCAN_POINT => 16, SCAN_ACK => 17, COPY_END => 18,
    PING     => 19, PONG  => 20, RESUME => 24,
);

# PING 5, ACK 7, PONG 1 2, ...
sub number { my ($type, @n) = @_; return pack 'C (Q>)*', $TYPE{$type}, @n }

sub resume { return number('RESUME', $_[0] // 0) }

# One that names a key: WANT, OFFER, GONE, DELETE.
sub message
{
    my ($type, $key, $version) = @_;
    return pack 'C C C Q> a*', $TYPE{$type}, length $key, 0, $version, $key;
}

# Says hello with these fields, the others as they should be.
sub new
{
    my ($class, $port, %field) = @_;
    my $self = $class->SUPER::new(port => $port);
    my %all  = (
        run           => 1 + int rand 2**32,
        slot          => int rand 256,
        item_size_max => 1_048_576,
        clock         => int(1000 * time),
        %field
    );
    $all{run} = sprintf '%016x', $all{run};
    $self->send_only("repcached3 2 "
            . join(' ', map { "$_=$all{$_}" } sort keys %all) . "\r\n");
    $self->{answer} = $self->line;
    return $self;
}

sub batch
{
    my ($self, @messages) = @_;
    $self->send_only(pack 'N/a*', join '', @messages);
    return $self;
}

sub until_read
{
    my ($self, $bytes) = @_;
    return $self->_read_while(sub { index($self->{buf}, $bytes) >= 0 });
}

# COPY_END is behind the last SCAN_POINT of the first scan.
sub until_copied
{
    my ($self) = @_;
    return $self->until_read(number('SCAN_POINT', (1 << 49) - 1, 0) . "\x12");
}

# Everything before was heard.
sub until_heard
{
    my ($self) = @_;
    return $self->batch(number('PING', 5))->until_read(number('PONG', 5));
}

# One test: the last it said is ERROR with this code.
sub said_error
{
    my ($self, $code, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $said = $self->read_all;
    my $end  = pack 'C n C', 22, $code, 0;
    my $test = Test::Builder->new;
    return $test->ok($self->eof && substr($said, -4) eq $end, $name)
        || $test->diag(Client::shown($said, 400));
}

1;
