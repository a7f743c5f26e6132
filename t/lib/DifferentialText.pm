package DifferentialText;

# Generated sessions of the text protocol for the comparison of two servers: see
# Differential.pm for what a step is. What is known to differ is in the tables of
# t/60-differences*.t and in doc/compatibility.md, and is not generated.

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(any_key any_value pick text_session);

sub pick { return $_[rand @_] }

my $prefix = 's';

# Few keys, so that sessions come back to them. Some of odd bytes, one as long
# as a key may be.
sub any_key
{
    return $prefix . pick('a' .. 'e') if rand() < 0.93;
    return pick("$prefix\t\x01", "$prefix\xff\x80", $prefix . 'k' x (250 - length $prefix));
}

# Keys that are too long, where both say the same.
sub _long_key { return rand() < 0.95 ? any_key() : 'k' x pick(251, 252, 300, 1000) }

# None of 2^63 or above: 1.6.18 looks behind it in memory for a sign, and what is
# there is a matter of chance.
my @numbers = (
    0, 1, 9, 10, 99, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32,
    '9223372036854775807', ' 7', '+7', '007', '12 a', '1 x', '-1', '1.5', '12ab', 'x',
    '18446744073709551616', "7\r\n", "1\t",
);

my @sizes = (0, 1, 3, 10, 100, 250, 251, 1000, 2040 .. 2052, 5000, 16_384, 17_000);
my $noise = join '', map { chr(($_ * 151 + ($_ >> 5) * 17) & 255) } 1 .. 4096;

sub any_value
{
    my $r = rand;
    return chr(97 + rand 26) x pick(@sizes) if $r < 0.4;
    return pick(@numbers) if $r < 0.7;
    return pick("line\r\nEND\r\nget x\r\n", "\0", "x\n", "\nx", "\x80\1\0\1", 'STORED')
        if $r < 0.8;
    return 'v' x pick(70_000, 400_000, 524_200, 524_288, 600_000, 1_000_000)
        if $r > 0.985;
    # Of white space alone stock would read on behind the value in incr.
    return substr($noise, rand 3000, rand 300) =~ s/\A\s+\z/x/r;
}

sub _flags
{
    return pick(0, 0, 0, 1, '+5', 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1, '007');
}

# Nothing that ends while a session runs.
sub _exptime
{
    return pick(0, 0, 0, 0, 1000, '+1000', '0001000', 2_592_000, 2_592_001, 1_000_000_000,
        2_147_483_647, 4_102_444_800, -1, 2**32, 2**31, -5, -2_147_483_648, -2_147_483_649,
        2**32 + 1000, '9223372036854775807');
}

sub _exptime32 { return pick(0, 0, 1000, 2_592_000, 2_592_001, 2_147_483_647, -1, -5) }

sub quiet { return rand() < 0.2 ? ' noreply' : '' }

# The length of a value as the line tells it.
sub _length
{
    my ($n) = @_;
    return rand() < 0.95 ? $n : pick("0$n", "00$n");
}

sub _blank { return rand() < 0.95 ? ' ' : '  ' }

sub _end { return rand() < 0.9 ? "\r\n" : pick("\n", " \r\n", "  \n") }

sub _stored
{
    my ($verb, $key, $value, $flags, $time) = @_;
    return sprintf "%s %s %s %s %s\r\n%s\r\n", $verb, $key, $flags // 0, $time // 0,
        length $value, $value;
}

sub _store
{
    my $value = any_value();
    return join(_blank(), pick(qw(set set set add replace append prepend)), any_key(),
        _flags(), _exptime(), _length(length $value))
        . quiet() . _end() . "$value\r\n";
}

# --- cas -------------------------------------------------------------------------

# One with the present id or one beside it; at times the same again, which is then
# that of an older value, and a look.
sub _cas
{
    my ($key, $value, $off) = (any_key(), any_value(), pick(0, 0, 0, 1));
    my $line = sprintf 'cas %s %s %s %d', $key, _flags(), pick(0, 0, 1000, -1), length $value;
    my @quiet = map { quiet() } 1 .. 2;
    my $tail = pick('', '', "gets $key\r\n", "get $key\r\ndelete $key\r\n");
    my $times = pick(1, 2);
    return sub {
        my ($cas_of) = @_;
        my $cas = $cas_of->($key) + $off;
        return join('', map { "$line $cas$quiet[$_]\r\n$value\r\n" } 0 .. $times - 1) . $tail;
    };
}

# Each with the id that the one before it left, or the one before that.
sub _chain
{
    my $key = any_key();
    return map {
        my ($value, $back, $verb) = (any_value(), pick(0, 0, 0, 1), pick('cas', 'cas', 'ms'));
        sub {
            my ($cas_of) = @_;
            my ($n, $cas) = (length $value, $cas_of->($key, $back));
            return "ms $key $n C$cas c\r\n$value\r\n" if $verb eq 'ms';
            return "cas $key 0 0 $n $cas\r\n$value\r\ngets $key\r\n";
        }
    } 0 .. 1 + rand 3;
}

sub _odd_cas
{
    my $key = any_key();
    return sprintf "cas %s 0 0 1 %s%s\r\nv\r\n", $key,
        pick(0, 1, '18446744073709551615', '00001'), quiet();
}

# --- reading -----------------------------------------------------------------------

sub _keys
{
    my ($most) = @_;
    my $count = pick(1, 1, 1, 2, 3, 7, 8, 23, 24, 25, 30, 120);
    return join _blank(), map { any_key() } 1 .. ($count > $most ? $most : $count);
}

sub _retrieve
{
    my $verb = pick('get', 'get', 'get', 'gets', 'gat', 'gats');
    $verb .= ' ' . pick(_exptime32(), pick(qw(x 1x 2147483647))) if $verb =~ /gat/;
    # A part of a line of more than 2 KiB is the end of the connection, but of get.
    return "$verb " . _keys($verb =~ /gat/ ? 7 : 120) . _end();
}

# --- numbers -----------------------------------------------------------------------

my @deltas = (
    0, 1, 1, 9, 10, 999, 2**32 - 1, 2**32, '9223372036854775807', '9223372036854775808',
    '18446744073709551615', '007', 'x', '-1', '18446744073709551616', '1x', '99999999999999999999',
);

# The number is read and replaced at once: 1.6.18 pads a shorter one to the old
# length, but not while somebody else (an unsent answer, its background threads)
# holds the item, which is a matter of time. We always do.
sub _arithmetic
{
    my $key = _long_key();
    my $line = pick('incr', 'decr') . " $key " . pick(@deltas) . quiet() . "\r\n";
    return $line if length $key > 250;
    return "${line}get $key\r\nset $key 0 0 1 noreply\r\n5\r\n";
}

# Of a new item, which nobody holds, the padding is seen.
sub _padding
{
    my $key   = any_key();
    my $value = pick(10, 100, 1000, 99, 18, '4294967296', '0010');
    my $steps = join '', map { pick('incr', 'decr', 'decr') . " $key " . pick(1, 9, 90, 2**32) . "\r\n" }
        1 .. 1 + rand 4;
    return _stored('set', $key, $value) . $steps . _stored('append', $key, '|') . "get $key\r\n";
}

# --- the smaller commands ------------------------------------------------------------

sub _small
{
    return pick(
        sub { 'touch ' . _long_key() . ' ' . pick(_exptime32(), pick('x', '1x')) },
        sub { 'delete ' . _long_key() . pick('', '', ' 0', ' 1', ' x') },
        sub { 'mn' },
    )->() . pick('', '', '', ' noreply') . "\r\n";
}

# Several commands that belong together: what ends and is looked for, what is
# flushed, what grows beyond what an item may hold.
my @stories = (
    sub { my $k = shift; "touch $k -1\r\n" . pick("get $k\r\n", "touch $k 0\r\n", "incr $k 1\r\n",
        "delete $k\r\n", _stored('append', $k, 'x'), _stored('add', $k, '1')) . "gets $k\r\n" },
    sub { my $k = shift; _stored('set', $k, any_value(), 0, -1)
        . pick("get $k\r\n", "gat 0 $k\r\n", _stored('replace', $k, 'r'), _stored('prepend', $k, 'p'),
            "decr $k 1\r\n", "cas $k 0 0 1 5\r\nz\r\n") . "get $k\r\n" },
    sub { my $k = shift; my $o = any_key(); _stored('set', $k, 'old') . "flush_all" . quiet() . "\r\n"
        . pick("get $k $o\r\n", "incr $k 1\r\n", "touch $k 0\r\n", "delete $k\r\n", "gat 0 $k\r\n")
        . _stored(pick(qw(add set replace append)), $o, 'new') . "get $k $o\r\n" },
    sub { my $k = shift; "gat 1000 $k\r\ngats 0 $k\r\n" . _stored('append', $k, 'tail', 9, 9)
        . "gat -1 $k\r\nget $k\r\n" },
    sub { my $k = shift; _stored('set', $k, 'b' x pick(1_000_000, 1_040_000, 524_000), 3)
        . join('', map { _stored(pick(qw(append prepend)), $k, chr(65 + $_) x pick(1, 8000, 40_000)) } 1 .. 3)
        . "gets $k\r\n" },
    sub { my $k = shift; _stored('set', $k, 'e' x (1_048_576 - 130 + rand 140)) . "get $k\r\n" },
    sub { my $k = shift; _stored('set', $k, 'f' x 1_048_000)
        . _stored('append', $k, 'g' x (440 + rand 140)) . "get $k\r\n" },
    sub { my $k = shift; "delete $k\r\n" x 2 . _stored('add', $k, 'a', 7) x 2 . "get $k\r\n" },
    sub { my $k = shift; join('', map { _stored(pick(qw(append prepend set)), $k, $_) } 1 .. 20)
        . "get $k\r\n" },
);

sub _story { return (rand() < 0.2 ? $stories[rand @stories] : $stories[pick(0 .. 3, 7, 8)])->(any_key()) }

# No flush_all to come: in 1.6.18 it makes an earlier one forget the items that
# it has not yet come across, and they are back.
my @admin = (
    'flush_all', 'flush_all noreply', 'flush_all 0', 'flush_all x', 'flush_all -1', 'flush_all 1x',
    'verbosity 0', 'verbosity x', 'verbosity 0 0', 'version', 'version x', 'cache_memlimit x',
    'cache_memlimit 64', 'cache_memlimit 1000000001', 'cache_memlimit 64 noreply',
    'stats nonsense', 'stats detail', 'stats detail off', 'stats detail x', 'stats reset',
    'stats cachedump', 'stats cachedump x 1', 'stats cachedump 99 1', 'stats cachedump 1',
    'stats cachedump 1 x', 'stats sizes', 'nonsense', 'GET a',
    'Set a 0 0 1', 'bogus words here', 'gett a', 'slabs nonsense', 'stats_', "ge\tt a", 'setx a 0 0 1',
    'lru tune 10 20 0.1 2.0', 'lru mode nothing', 'lru temp_ttl x', 'lru_crawler nothing',
    'lru_crawler sleep 1000001', 'lru_crawler sleep 1000000',
    'lru tune 10 20 0.1', 'lru tune 90 20 0.1 2.0', 'lru tune x 20 0.1 2', 'lru temp_ttl -1', 'lru', 'lru mode',
    'slabs', 'slabs reassign', 'slabs reassign 1', 'slabs reassign x 1', 'slabs automove', 'slabs automove x',
    'lru_crawler', 'lru_crawler sleep', 'lru_crawler sleep x', 'lru_crawler tocrawl', 'lru_crawler tocrawl x',
    'lru_crawler crawl', 'lru_crawler crawl x', 'lru_crawler crawl 0', 'lru_crawler crawl 99', 'cache_memlimit',
    'extstore nothing 5', 'verbosity 0 noreply', 'gets  ' . 'z' x 250,
);

sub _admin { return pick(@admin) . "\r\n" }

# --- values that are refused -----------------------------------------------------------

# A storage command that is refused, or whose data does not fit its length.
sub _bad_data
{
    my $key = any_key();
    return pick(
        {refused => "set $key 0 0 3\r\nabcdefghi\r\n"},
        {refused => "set $key 0 0 3\r\nabc\n\nmore words\r\n"},
        {refused => "set $key 0 0 3\r\nabc\rxget and so on\r\n"},
        {refused => "cas $key 0 0 3 5\r\nabcdefghi\r\n"},
        {refused => "add $key 0 0 10\r\nabc\r\nget and so on\r\nmore\r\n"},
        {refused => "append $key 0 0 9000\r\n" . ('z' x 9010) . "\r\n"},
        {refused => "add $key 0 0 2000000\r\n" . ('x' x 2_000_009) . "\r\n"},
        {refused => pick(qw(set add append)) . " $key 0 0 "
            . pick('x', -1, -2_147_483_648, 2_147_483_646, 2_147_483_647, 2**31, '1x')
            . "\r\nsome words\r\n"},
        "set $key 0 0 2000000\r\n" . ('x' x 2_000_000) . "\r\n",
        "append $key 0 0 1048560\r\n" . ('y' x 1_048_560) . "\r\n",
    );
}

# What a session may end with: both close without having answered the last. All
# before it is answered first: 1.6.18 may lose what it has not sent.
sub _last
{
    my $text = pick("quit\r\nget a\r\n", "quit now\r\nversion\r\n", "GET / HTTP/1.1\r\nversion\r\n",
        "get ${prefix}a", 'set ' . any_key() . " 0 0 10\r\n123", 'q', "mn\r\nquit noreply\r\n");
    return sub { $text };
}

# A step; a part of them of the meta protocol, by $meta.
sub _step
{
    my $r = rand;
    return
          $r < 0.32 ? _store()
        : $r < 0.58 ? _retrieve()
        : $r < 0.67 ? _arithmetic()
        : $r < 0.70 ? _padding()
        : $r < 0.79 ? _small()
        : $r < 0.84 ? _story()
        : $r < 0.89 ? _cas()
        : $r < 0.90 ? _chain()
        : $r < 0.91 ? _odd_cas()
        : $r < 0.985 ? _admin()
        :             _bad_data();
}

# Steps for session number $n; the random numbers are the caller's (srand). Some
# of them may come from $other, with a chance of $share.
sub text_session
{
    my ($n, $other, $share) = @_;
    $prefix = "s$n";
    my @steps = map { $other && rand() < $share ? $other->() : _step() } 1 .. 3 + rand 30;
    push @steps, _last() if rand() < 0.2;
    return \@steps;
}

1;
