package DifferentialMeta;

# Steps of the meta protocol for the comparison of two servers, as those of
# DifferentialText.pm.

use strict;
use warnings;

use Exporter qw(import);
use MIME::Base64 qw(decode_base64 encode_base64);

use DifferentialText qw(any_key any_value pick);

our @EXPORT_OK = qw(meta_step);

# Flags of which 1.6.18 knows, each at most once, in any order. What differs is
# left out: t/60-differences.t has it.
sub _flags_of
{
    my ($often, %choices) = @_;
    my @flags;
    for my $flag (sort keys %choices) {
        push @flags, $flag . $choices{$flag}->() if rand() < $often;
    }
    return join '', map { " $_" } sort { rand() <=> 0.5 } @flags;
}

my %returned = map { $_ => sub { '' } } qw(c f k s t v q);
my %opaque   = (O => sub { pick('', '1', 'opaque', 'o' x 31) });
my @ttl      = (0, 1000, 1000, 2000, 2_592_000);

# A key in either form, with what goes with it.
sub _meta_key
{
    my $key = any_key();
    return ($key, '') if rand() < 0.7;
    return ($key, '') if length $key > 186; # more than fits in base64
    return (encode_base64($key, ''), ' b');
}

sub _meta_get
{
    my ($key, $b) = _meta_key();
    my %time = (
        N => sub { pick(1000, 2000) },
        R => sub { pick(-1, 0, 30, 1500, 9999, 2_147_483_647) },
        T => sub { pick(@ttl, -1) },
    );
    my $times = _flags_of(0.15, %time);
    my %what = (%returned, %opaque, h => sub { '' }, u => sub { '' });
    delete $what{t} if $times =~ / T-1/; # of what is over, time left is noise
    return "mg $key$b" . $times . _flags_of(0.3, %what) . "\r\n";
}

sub _meta_set
{
    my ($key, $b) = _meta_key();
    my $value = any_value();
    my %what = (
        %returned, %opaque,
        F => sub { pick(0, 1, 65_535, 2**32 - 1) },
        T => sub { pick(@ttl) },
        M => sub { pick(qw(S E R A P S S X s)) },
        I => sub { '' },
    );
    delete $what{s}; # a later release tells the length
    return sprintf "ms %s %d%s%s\r\n%s\r\n", $key, length $value, $b,
        _flags_of(0.25, %what), $value;
}

sub _meta_delete
{
    my ($key, $b) = _meta_key();
    my %what = (%opaque, k => sub { '' }, q => sub { '' }, I => sub { '' },
        T => sub { pick(@ttl) }, C => sub { pick(0, 1) });
    return "md $key$b" . _flags_of(0.3, %what) . "\r\n";
}

# As _arithmetic: a number of fewer digits is read and replaced at once. An item
# that it makes is told of in spite of q there.
sub _meta_arithmetic
{
    my ($key, $b) = _meta_key();
    my $plain = $b ? decode_base64($key) : $key;
    my %what = (
        %opaque,
        D => sub { pick(0, 1, 10, 999, 2**32, '9223372036854775808',
            '18446744073709551615', '18446744073709551616', 'x', '-1') },
        J => sub { pick(0, 13, 5000, 2**32, '9223372036854775807') },
        M => sub { pick('I', '+', 'D', '-', 'i', 'X') },
        N => sub { pick(1000, 2000) },
        T => sub { pick(0, 1000) },
        map { $_ => sub { '' } } qw(c k t v),
    );
    return "ma $key$b" . _flags_of(0.3, %what)
        . "\r\nget $plain\r\nset $plain 0 0 1 noreply\r\n5\r\n";
}

# With the present cas of the key, one more, or one less.
sub _meta_compare
{
    my ($key, $value, $off) = (any_key(), any_value(), pick(0, 0, 1, -1));
    my $kind = pick('ms', 'ms', 'md', 'ma');
    my $mode = pick('', ' MR', ' MS', ' I', ' MR I');
    my $tail = pick('', ' k', ' q', ' I');
    return sub {
        my ($cas_of) = @_;
        my $cas = $cas_of->($key) + $off;
        $cas = 0 if $cas < 0; # without cas ids
        return sprintf "ms %s %d C%d%s\r\n%s\r\n", $key, length $value, $cas, $mode,
            $value
            if $kind eq 'ms';
        return "md $key C$cas$tail\r\n" if $kind eq 'md';
        return "ma $key C$cas v\r\nset $key 0 0 1 noreply\r\n5\r\n";
    };
}

sub _meta_bad
{
    my $key = any_key();
    return pick(
        map({ "$_\r\n" } "mg $key c c", "mg $key Z", "mg $key 1", "mg $key b",
            "mg $key Cx", "mg $key T", "mg $key N1x", "mg $key Rx", "mg $key Dx",
            "mg $key Jx", "mg $key Fx", "mg $key Jx Fx", "mg $key Fx Jx",
            "ma $key c c", "ma $key Zz", "ma $key Nx q", "ma $key b", 'me', "mn x y",
            "mg absent$key O" . 'o' x 32, "me absent$key", "mg Zm!9v b k", "mg Zg==Zm9v b k",
            "mg Zm9 b k", "mg ==== b", "mg Zg=v b k", 'mg ' . 'k' x 251),
        map({ "$_\r\nabc\r\n" } "ms $key 3 Z", "ms $key 3 c c", "ms $key 3 Mx",
            "ms $key 3 Cx", "ms $key 3 b"),
        "ms $key 2000000\r\n" . 'x' x 2_000_000 . "\r\n",
        {refused => "ms $key 3\r\nabcdefgh\r\n"},
        {refused => "ms $key x\r\nsome words\r\n"},
    );
}

# What is known of an item, and a debugging line of one that is none.
sub _meta_debug
{
    my $key = any_key();
    return 'me ' . (rand() < 0.9 ? $key : "absent$key") . "\r\n";
}

sub meta_step
{
    my $r = rand;
    return
          $r < 0.03 ? _meta_debug()
        : $r < 0.40 ? _meta_get()
        : $r < 0.65 ? _meta_set()
        : $r < 0.75 ? _meta_delete()
        : $r < 0.83 ? _meta_arithmetic()
        : $r < 0.93 ? _meta_compare()
        :             _meta_bad();
}

1;
