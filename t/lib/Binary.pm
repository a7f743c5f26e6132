package Binary;

# Packets of the binary protocol, for tests.
#
#   my $b = Binary->new($mc->client);
#   is $b->ask(packet('get', key => 'a')), 'get 0001 "Not found"', 'a miss';

use strict;
use warnings;

use Exporter qw(import);

use Client;

our @EXPORT = qw(packet set_extras arith_extras touch_extras shown_packets);

my %OPCODE = (
    get => 0x00, set => 0x01, add => 0x02, replace => 0x03, delete => 0x04,
    incr => 0x05, decr => 0x06, quit => 0x07, flush => 0x08, getq => 0x09,
    noop => 0x0a, version => 0x0b, getk => 0x0c, getkq => 0x0d,
    append => 0x0e, prepend => 0x0f, stat => 0x10, setq => 0x11, addq => 0x12,
    replaceq => 0x13, deleteq => 0x14, incrq => 0x15, decrq => 0x16,
    quitq => 0x17, flushq => 0x18, appendq => 0x19, prependq => 0x1a,
    verbosity => 0x1b, touch => 0x1c, gat => 0x1d, gatq => 0x1e,
    sasl_list => 0x20, sasl_auth => 0x21, sasl_step => 0x22,
    gatk => 0x23, gatkq => 0x24,
);
my %NAME = reverse %OPCODE;

# One request. Options: key, extras, value, cas, opaque, magic, and body to tell
# another length than the real one.
sub packet
{
    my ($name, %opt) = @_;
    my ($key, $extras, $value) = map { $_ // '' } @opt{qw(key extras value)};
    return pack('CCnCCnNNQ>',
        $opt{magic} // 0x80,
        $OPCODE{$name} // $name, length $key, length $extras, 0, 0,
        $opt{body} // length "$key$extras$value",
        $opt{opaque} // 0, $opt{cas} // 0)
        . "$extras$key$value";
}

sub set_extras { return pack 'NN', $_[0] // 0, $_[1] // 0 }

# Delta, initial value, expiry.
sub arith_extras { return pack 'Q>Q>N', @_ }

sub touch_extras { return pack 'N', $_[0] // 0 }

# Takes one reply off the bytes: a hash, undef when it is not whole.
sub _take
{
    my ($bytes) = @_;
    return undef if length $$bytes < 24;
    my %r;
    @r{qw(magic op nkey nextras type code body opaque cas)} =
        unpack 'CCnCCnNNQ>', $$bytes;
    return undef if length $$bytes < 24 + $r{body};
    my $body = substr $$bytes, 24, $r{body};
    substr($$bytes, 0, 24 + $r{body}) = '';
    $r{extras} = substr $body, 0, $r{nextras}, '';
    $r{key}    = substr $body, 0, $r{nkey},    '';
    $r{value}  = $body;
    return \%r;
}

# Readable: name, code, then extras as numbers, key and value where they are;
# `:cas` behind the code where there is one.
sub _show
{
    my ($r) = @_;
    my $text = sprintf '%s %04x', $NAME{$r->{op}} // sprintf('%02x', $r->{op}),
        $r->{code};
    $text .= ':cas'                                   if $r->{cas};
    $text .= " opaque $r->{opaque}"                   if $r->{opaque};
    $text .= ' flags ' . unpack('N', $r->{extras})    if $r->{nextras};
    $text .= " key $r->{key}"                         if $r->{nkey};
    $text .= ' "' . Client::shown($r->{value}, 60) . '"'
        if $r->{value} ne '';
    return $text;
}

sub shown_packets
{
    my ($bytes) = @_;
    my @texts;
    while (my $r = _take(\$bytes)) {
        push @texts, _show($r);
    }
    push @texts, 'and ' . Client::shown($bytes, 60) if $bytes ne '';
    return join ', ', @texts;
}

sub new
{
    my ($class, $client) = @_;
    return bless {client => $client, n => 0}, $class;
}

sub client { return $_[0]{client} }

# Sends bytes and a noop behind them; gives the replies before that of the noop.
sub replies
{
    my ($self, @packets) = @_;
    my $last = 0x7000_0000 + ++$self->{n};
    my @got;
    $self->{client}->send(join '', @packets, packet('noop', opaque => $last));
    while (my $r = $self->reply) {
        return @got if $r->{opaque} == $last;
        push @got, $r;
    }
    return (@got, undef);
}

# The next reply, undef at the end of the stream.
sub reply
{
    my ($self) = @_;
    my $head = $self->{client}->read(24);
    return undef if length $head < 24;
    $head .= $self->{client}->read(unpack 'x8N', $head);
    return _take(\$head);
}

# The replies as text, ', ' between them; `closed` where the connection ended.
sub ask
{
    my ($self, @packets) = @_;
    return join ', ', map { $_ ? _show($_) : 'closed' } $self->replies(@packets);
}

# Sends what ends the connection: all that came before its end.
sub last_words
{
    my ($self, @packets) = @_;
    $self->{client}->send(join '', @packets);
    my $text = shown_packets($self->{client}->read_all(10));
    return $self->{client}->eof ? $text : "$text, still open";
}

1;
