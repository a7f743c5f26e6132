package DifferentialBinary;

# Sessions of the binary protocol for the comparison of two servers: a list of
# steps, each bytes or a code reference that is given a function (key -> present
# cas id) and returns bytes. The last step may be one that ends the connection.

use strict;
use warnings;

use Exporter qw(import);

use Binary;

our @EXPORT_OK = qw(binary_session run_binary_session text_requests);

my $prefix = '';
my $ENDS   = 0x6000_0000;

sub pick { return $_[rand @_] }

sub _key { return $prefix . pick('a' .. 'e', "\r\n", "x \0") }

sub _value
{
    return pick(
        sub { chr(97 + rand 26) x pick(0, 1, 100, 2047, 2048, 2049, 17_000) },
        sub { '' . int rand 1000 },
        # Of white space alone stock would read on behind the value in incr, and
        # of a number of 2^63 or above in search of a sign.
        sub { pick('9223372036854775807', ' 7', '-1', "x\r\n") },
        sub { 'x' . join '', map { chr rand 256 } 1 .. 300 },
    )->();
}

sub _expiry
{
    return pick(0, 0, 0, 1000, 2_592_000, 2_592_001, 4_102_444_800, 2**31,
        2**32 - 1);
}

sub _flags { return pick(0, 0, 1, 65_535, 2**32 - 1) }

sub _quiet { return pick($_[0], "$_[0]q") }

# Replaces the cas of a packet by that of its key, or one beside it.
sub _with_cas
{
    my ($name, %opt) = @_;
    my $off = pick(0, 0, 1);
    return sub {
        my ($cas_of) = @_;
        return packet($name, %opt, cas => $cas_of->($opt{key}) + $off);
    };
}

sub _maybe_cas
{
    my ($name, %opt) = @_;
    $opt{opaque} = int rand 2**30;
    return rand() < 0.3 ? _with_cas($name, %opt) : packet($name, %opt);
}

sub _store
{
    my $verb = pick(qw(set set set add replace));
    return _maybe_cas(_quiet($verb), key => _key(), value => _value(),
        extras => set_extras(_flags(), _expiry()));
}

sub _join
{
    return _maybe_cas(_quiet(pick(qw(append prepend))), key => _key(),
        value => _value());
}

sub _retrieve
{
    return packet(pick(qw(get getq getk getkq)), key => _key(),
        opaque => int rand 2**30) if rand() < 0.7;
    return packet(pick(qw(touch gat gatq gatk gatkq)), key => _key(),
        extras => touch_extras(_expiry()));
}

# What shorter numbers are padded to is a matter of time in 1.6.18: the number
# is replaced at once.
sub _arithmetic
{
    my $key = _key();
    return packet(_quiet(pick(qw(incr decr))), key => $key,
        extras => arith_extras(pick(0, 1, 10, 2**40), pick(0, 7, ~0),
            pick(0, 1000, 2**32 - 1)))
        . packet('setq', key => $key, extras => set_extras(), value => '5');
}

sub _small
{
    return pick(
        sub { _maybe_cas(_quiet('delete'), key => _key()) },
        sub { packet(pick(qw(noop version)), opaque => int rand 2**30) },
        sub { packet(_quiet('flush'), extras => pick('', touch_extras(0))) },
        sub { packet(pick(0x1f, 0x30, 0x50, 0xff), value => _value()) },
        sub { packet('stat', key => pick('reset', 'nonsense', 'detail',
                'detail off', 'conns', 'sizes')) },
    )->();
}

sub _too_large
{
    my $verb = pick(qw(set setq add replace append));
    return packet($verb, key => _key(), value => 'x' x 1_100_000,
        $verb eq 'append' ? () : (extras => set_extras()));
}

# Packets after which both close. (1.6.18 knows no limit of a gigabyte, and may
# lose replies when what follows them is no packet.)
sub _last
{
    return pick(
        packet('quit'),                     packet('quitq'),
        packet('get', key => 'k' x 251),    packet('get', body => 2, key => 'ab'),
        packet('noop', value => 'x'),       packet('set', key => 'k'),
        packet('getq', key => 'k', value => 'v'), packet('flush', extras => 'x'),
        packet('incr', key => 'k', extras => 'x'), packet('touch', key => 'k'),
    );
}

# Steps for session $n; the random numbers are the caller's (srand).
sub binary_session
{
    my ($n) = @_;
    $prefix = "b$n";
    my @steps;
    for (1 .. 3 + rand 40) {
        my $r = rand;
        push @steps,
              $r < 0.30 ? _store()
            : $r < 0.40 ? _join()
            : $r < 0.70 ? _retrieve()
            : $r < 0.85 ? _arithmetic()
            : $r < 0.99 ? _small()
            :             _too_large();
    }
    push @steps, _last() if rand() < 0.3;
    return \@steps;
}

# Sends the steps to a server, all that name no cas at once; gives its replies
# as text, cas ids as their order of appearance.
sub run_binary_session
{
    my ($steps, $main, $side) = @_;
    my $cas_of = sub {
        my ($r) = $side->replies(packet('get', key => $_[0]));
        return $r->{code} ? 12_345 : $r->{cas};
    };
    my ($ready, @replies) = ('');
    for my $step (@$steps) {
        if (ref $step) {
            push @replies, $main->replies($ready);
            $ready = $step->($cas_of);
        } else {
            $ready .= $step;
        }
    }
    push @replies, $main->replies($ready);
    my %seen;
    my $text = '';
    for my $r (@replies) {
        $text .= !$r ? "closed\n" : join ' ', $r->{op}, $r->{code}, $r->{opaque},
            ($r->{cas} ? 'cas' . ($seen{$r->{cas}} //= keys %seen) : '-'),
            map { Client::shown($_, 200) . length } $r->{extras}, $r->{key},
            ($r->{op} == 11 ? 'version' : $r->{value});
        $text .= "\n";
    }
    return $text;
}

sub _word { return pick('k1' .. 'k5') }

# Some text requests for a datagram.
sub text_requests
{
    my $value = 'v' x rand 3000;
    return join '', map {
        pick(
            sprintf("set %s %d 0 %d%s\r\n%s\r\n", _word(), rand 9, length $value,
                pick('', '', ' noreply'), $value),
            'get ' . join(' ', map { _word() } 0 .. rand 4) . "\r\n",
            'gets ' . _word() . "\r\n", 'delete ' . _word() . "\r\n",
            'incr ' . _word() . " 1\r\n", 'touch ' . _word() . " 0\r\n",
            'gat ' . pick(0, 100, 'x') . ' ' . _word() . "\r\n", "cas k1 0 0 1 4000000000\r\nx\r\n",
            'mg ' . _word() . pick('', ' v', ' s f v', ' k O9 v', ' q') . "\r\n", 'md ' . _word() . " q\r\n",
            sprintf("ms %s %d%s\r\n%s\r\n", _word(), length $value, pick('', ' F5', ' q', ' MA'), $value),
            'ma ' . _word() . pick('', ' v', ' N0 J9 v') . "\r\n", 'append ' . _word() . " 0 0 1\r\nx\r\n",
            "stats nonsense\r\n", "verbosity 0\r\n", "mn\r\n",
            "version\r\n", "nonsense\r\n",
        )
    } 0 .. rand 4;
}

1;
