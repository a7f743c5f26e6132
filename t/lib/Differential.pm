package Differential;

# Sends the same bytes to two servers and compares what comes back.
#
# A session is a list of steps: a string of bytes, a code reference that is
# given a function (key -> present cas id) and returns the bytes, so that each
# server is sent a cas id of its own, or {refused => bytes}: a refused value,
# whose answer both give. Then ours must have closed, and the other goes on with
# what is left of the bytes. The session goes on with new connections.

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK =
    qw(generate_session read_sessions run_session normalise);

# Answered at once, alike by both, and by nothing that sessions hold.
my $SYNC       = "cache_memlimit 1\r\n";
my $SYNC_REPLY = "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n";

sub pick { return $_[rand @_] }

# --- generated sessions --------------------------------------------------------

my $prefix = '';

sub _key { return $prefix . pick('a' .. 'e') }

sub _value
{
    my $size = pick(0, 1, 3, 10, 100, 1000, 2047, 2048, 2049, 5000, 17_000);
    $size = pick(70_000, 400_000, 600_000, 1_000_000, 1_048_000)
        if rand() < 0.02;
    return pick(
        sub { chr(97 + rand 26) x $size },
        sub { '' . int rand 1000 },
        sub { pick('18446744073709551615', ' 7', '+7', '1 x', '-1', '1.5') },
        sub { "line\r\nEND\r\nget x\r\n" },
        # Of white space alone stock would read on behind the value in incr.
        sub { (join '', map { chr rand 256 } 1 .. $size % 300) =~ s/\A\s+\z/x/r },
    )->();
}

sub _flags { return pick(0, 0, 0, 1, '+5', 65_535, 2**31, 2**32 - 1, '007') }

# Nothing that ends while a session runs.
sub _exptime
{
    return pick(0, 0, 0, 1000, '+1000', 2_592_000, 4_102_444_800, -1, 2**32,
        2**31, -5);
}

sub _noreply { return rand() < 0.2 ? ' noreply' : '' }

sub _store
{
    my $verb  = pick(qw(set set set add replace append prepend));
    my $value = _value();
    return sprintf "%s %s %s %s %d%s\r\n%s\r\n", $verb, _key(), _flags(),
        _exptime(), length $value, _noreply(), $value;
}

sub _cas
{
    my ($key, $value, $off) = (_key(), _value(), pick(0, 0, 0, 1));
    my $quiet = _noreply();
    my $flags = _flags();
    return sub {
        my ($cas_of) = @_;
        return sprintf "cas %s %s 0 %d %d%s\r\n%s\r\n", $key, $flags,
            length $value, $cas_of->($key) + $off, $quiet, $value;
    };
}

sub _keys
{
    my $count = pick(1, 1, 2, 3, 8, 30, 120);
    return join pick(' ', ' ', '  '), map { _key() } 1 .. $count;
}

sub _retrieve
{
    my $verb = pick('get', 'get', 'gets', 'gat 0', 'gats 1000', 'gat -1');
    return "$verb " . _keys() . pick("\r\n", "\r\n", "\n", "  \r\n");
}

# The number is read and replaced at once: 1.6.18 pads a shorter one to the old
# length, but not while somebody else (an unsent answer, its background threads)
# holds the item, which is a matter of time. We always do.
sub _arithmetic
{
    my $key = _key();
    return sprintf "%s %s %s%s\r\nget %s\r\nset %s 0 0 1 noreply\r\n5\r\n",
        pick('incr', 'decr'), $key,
        pick(0, 1, 1, 10, 999, '18446744073709551615', '007', 'x', '-1',
        '18446744073709551616', '1x'), _noreply(), $key, $key;
}

sub _small
{
    return pick(
        sub { 'touch ' . _key() . ' ' . pick(0, 1000, -1, 'x', '1x') },
        sub { 'delete ' . _key() . pick('', '', ' 0', ' 1', ' x') },
    )->() . _noreply() . "\r\n";
}

# No flush_all to come: in 1.6.18 it makes an earlier one forget the items that
# it has not yet come across, and they are back.
sub _admin
{
    return pick(
        'flush_all',        'flush_all noreply',
        'flush_all 0',      'flush_all x',
        'flush_all -1',     'flush_all 1x',
        'verbosity 0',      'verbosity x',
        'verbosity 0 0',    'version',
        'version x',        'cache_memlimit x',
        'cache_memlimit 64',
        'stats nonsense',   'stats detail',
        'stats detail off', 'stats detail x',
        'stats reset',      'stats cachedump',
        'stats cachedump x 1', 'stats cachedump 99 1',
        'stats sizes',      'nonsense',
        'GET a',            'Set a 0 0 1',
        'bogus words here', 'gett a',           'slabs nonsense',
        'stats_',           "ge\tt a",
    ) . "\r\n";
}

# A storage command that is refused, or whose data does not fit its length.
sub _bad_data
{
    my $key = _key();
    return pick(
        {refused => "set $key 0 0 3\r\nabcdefghi\r\n"},
        {refused => "set $key 0 0 3\r\nabc\n\nmore words\r\n"},
        {refused => "add $key 0 0 10\r\nabc\r\nget and so on\r\nmore\r\n"},
        {refused => "append $key 0 0 9000\r\n" . ('z' x 9010) . "\r\n"},
        {refused => "add $key 0 0 2000000\r\n" . ('x' x 2_000_009) . "\r\n"},
        {refused => "set $key 0 0 x\r\n"},
        {refused => "set $key 0 0 -1\r\nsome words\r\n"},
        "set $key 0 0 2000000\r\n" . ('x' x 2_000_000) . "\r\n",
        "append $key 0 0 1048560\r\n" . ('y' x 1_048_560) . "\r\n",
    );
}

# --- the meta commands ---------------------------------------------------------

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
    my $key = _key();
    return ($key, '') if rand() < 0.7;
    require MIME::Base64;
    return (MIME::Base64::encode_base64($key, ''), ' b');
}

sub _meta_get
{
    my ($key, $b) = _meta_key();
    my %time = (
        N => sub { pick(1000, 2000) },
        R => sub { pick(-1, 30, 1500, 9999) },
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
    my $value = _value();
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
    my $plain = $b ? do { require MIME::Base64; MIME::Base64::decode_base64($key) } : $key;
    my %what = (
        %opaque,
        D => sub { pick(0, 1, 10, 999, '18446744073709551615', 'x', '-1') },
        J => sub { pick(0, 13, 5000) },
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
    my ($key, $value, $off) = (_key(), _value(), pick(0, 0, 1, -1));
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
    my $key = _key();
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

sub _meta
{
    my $r = rand;
    return
          $r < 0.40 ? _meta_get()
        : $r < 0.65 ? _meta_set()
        : $r < 0.75 ? _meta_delete()
        : $r < 0.83 ? _meta_arithmetic()
        : $r < 0.93 ? _meta_compare()
        :             _meta_bad();
}

# Steps for session number $n; the random numbers are the caller's (srand).
sub generate_session
{
    my ($n) = @_;
    $prefix = "s$n";
    my @steps;
    my $meta = pick(0, 0.1, 0.9); # of the steps
    for (1 .. 3 + rand 30) {
        my $r = rand;
        my $step =
              rand() < $meta ? _meta() :
              $r < 0.35 ? _store()
            : $r < 0.65 ? _retrieve()
            : $r < 0.75 ? _arithmetic()
            : $r < 0.85 ? _small()
            : $r < 0.92 ? _cas()
            : $r < 0.98 ? _admin()
            :             _bad_data();
        push @steps, $step;
    }
    return \@steps;
}

# --- written sessions ----------------------------------------------------------

# A file holds sessions, separated by lines of `--`. A line is sent with CR LF
# behind it; \r \n \t \\ \xHH stand for bytes, \c at its end leaves the line end
# away, {TEXT*N} is TEXT N times. `# ` begins a comment, `! ` a refused value.
sub read_sessions
{
    my ($path) = @_;
    open my $fh, '<', $path or die "$path: $!";
    my @sessions = ([]);
    while (my $line = readline $fh) {
        chomp $line;
        next if $line =~ /\A# /;
        if ($line eq '--') {
            push @sessions, [];
            next;
        }
        my $end     = $line =~ s/\\c\z// ? '' : "\r\n";
        my $refused = $line =~ s/\A! //;
        $line =~ s/\{([^{}*]+)\*(\d+)\}/$1 x $2/ge;
        my %byte = (r => "\r", n => "\n", t => "\t", '\\' => '\\');
        $line =~ s/\\(?:x([0-9a-f]{2})|([rnt\\]))/
            defined $1 ? chr hex $1 : $byte{$2}/gex;
        push @{$sessions[-1]},
            $refused ? {refused => $line . $end} : $line . $end;
    }
    return grep { @$_ } @sessions;
}

# --- running -------------------------------------------------------------------

# Sends $bytes in pieces to each of @conns in turn, so that each piece arrives
# alone more often than not.
sub _send_cut
{
    my ($bytes, @conns) = @_;
    my $small = rand() < 0.3 && length $bytes->[0] < 4000;
    my @rest  = @$bytes;
    while (grep { length } @rest) {
        my $n = 1 + int rand(
            $small ? 8 : rand() < 0.05 ? 20 : pick(1000, 20_000, 300_000));
        for my $i (0 .. $#rest) {
            $conns[$i]->send(substr $rest[$i], 0, $n, '')
                if length $rest[$i];
        }
    }
    return;
}

sub _cas_finder
{
    my ($side) = @_;
    return sub {
        my ($key) = @_;
        my ($value, $flags, $cas) = $side->gets($key);
        return $cas // 1;
    };
}

# Sends a refused value to each server and opens its next connection. Gives the
# first line that each answered, and for one that hangs up all that it did.
sub _refused
{
    my ($bytes, $servers) = @_;
    my @gotten;
    _send_cut([map { $bytes . $SYNC } @$servers], map { $_->{main} } @$servers);
    for my $server (@$servers) {
        my $main = $server->{main};
        my $got  = $main->read_to(qr/\A\Q$SYNC_REPLY\E/);
        if (!$server->{hangs_up}) {
            $got =~ s/\n\K.*//s;
        } else {
            $got .= $main->eof ? $main->read_all : '(still open)';
        }
        push @gotten, $got;
        $main->close;
        $server->{main} = $server->{daemon}->client;
    }
    return @gotten;
}

# Runs one session on each server of @$servers ({daemon, main, side}: the latter
# are clients; hangs_up: it does behind a refused value); gives what each
# answered.
sub run_session
{
    my ($steps, $servers) = @_;
    my @gotten = ('') x @$servers;
    my @ready  = ('') x @$servers;
    for my $step (@$steps) {
        if (!ref $step) {
            $_ .= $step for @ready;
            next;
        }
        _send_cut([map { $_ . $SYNC } @ready], map { $_->{main} } @$servers);
        for my $i (0 .. $#ready) {
            $gotten[$i] .=
                $servers->[$i]{main}->read_to(qr/\A\Q$SYNC_REPLY\E/);
        }
        if (ref $step eq 'HASH') {
            my @answers = _refused($step->{refused}, $servers);
            $gotten[$_] .= $answers[$_] for 0 .. $#answers;
            @ready = ('') x @ready;
            next;
        }
        @ready = map { $step->(_cas_finder($_->{side})) } @$servers;
    }
    my @mains = map { $_->{main} } @$servers;
    _send_cut([map { $_ . "quit\r\n" } @ready], @mains);
    $_->shutdown_write for @mains;
    $gotten[$_] .= $mains[$_]->read_all for 0 .. $#mains;
    return @gotten;
}

# --- comparing -----------------------------------------------------------------

# cas ids become their order of appearance, versions the same word, numbers lose
# their padding; other values are passed over by their length. The time that is
# left may be a second more or less.
sub normalise
{
    my ($bytes) = @_;
    my ($out, $at, %seen) = ('', 0);
    while ($at < length $bytes) {
        my $end = index $bytes, "\n", $at;
        $end = length($bytes) - 1 if $end < 0;
        my $line = substr $bytes, $at, $end + 1 - $at;
        $at = $end + 1;
        $line =~ s/\AVERSION [\d.]+/VERSION x/;
        $line =~ s/\A(VALUE \S+ \d+ \d+) (\d+)\r/
            $1 . ' cas' . ($seen{$2} \/\/= keys %seen) . "\r"/e;
        if ($line =~ /\A(?:HD|VA|EX|NS|NF)\b/) {
            $line =~ s/ c(\d+)/' cas' . ($1 && ($seen{$1} \/\/= keys %seen))/e;
            $line =~ s/ t(\d+)/' t' . int(($1 + 100) \/ 1000)/e;
        }
        if ($line =~ /\A(?:VALUE \S+ \d+|VA) (\d+)/) {
            my $value = substr $bytes, $at, $1 + 2;
            $at += $1 + 2;
            $line =~ s/\A(VALUE \S+ \d+) \d+/$1 N/
                if $value =~ s/\A(\d+) *\r\n\z/$1\r\n/;
            $line .= $value;
        }
        $out .= $line;
    }
    return $out;
}

1;
