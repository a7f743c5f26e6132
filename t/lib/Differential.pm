package Differential;

# Sends the same bytes to two servers and compares what comes back.
#
# A session is a list of steps: a string of bytes, a code reference that is
# given a function (key -> present cas id, or key, 1 -> the one before that) and returns the bytes, so that each
# server is sent a cas id of its own, or {refused => bytes}: a refused value,
# whose answer both give. Then ours must have closed, and the other goes on with
# what is left of the bytes. The session goes on with new connections.

use strict;
use warnings;

use Exporter qw(import);
use List::Util qw(max);

use Memcached;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT_OK = qw(compare_each compare_steps normalise normalise_packets read_sessions
    run_session servers stock);

my $LONGEST = 240; # seconds for the sessions of a file

# Answered at once, alike by both, and by nothing that sessions hold.
my $SYNC       = "cache_memlimit 1\r\n";
my $SYNC_REPLY = "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n";

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

# Where to cut a text of $length bytes: mostly nowhere or in a few places, wherever
# they are; at times so many that most pieces are of some bytes.
sub _cuts
{
    my ($length) = @_;
    my $r     = rand;
    my $count = $r < 0.5 ? 0 : $r < 0.9 ? 1 + int rand 6 : int rand 60;
    return (sort { $a <=> $b } map { 1 + int rand $length } 1 .. $count), $length;
}

# Sends $bytes in pieces to each of @conns in turn, so that each piece arrives
# alone more often than not.
sub _send_cut
{
    my ($bytes, @conns) = @_;
    my $at = 0;
    for my $end (_cuts(max(map { length } @$bytes))) {
        for my $i (0 .. $#conns) {
            $conns[$i]->send(substr $bytes->[$i], $at, $end - $at)
                if $at < $end && $at < length $bytes->[$i];
        }
        $at = $end;
    }
    return;
}

# The id of a key, or with $back the one it had when it was asked for before.
sub _cas_finder
{
    my ($server) = @_;
    return sub {
        my ($key, $back) = @_;
        my ($value, $flags, $cas) = $server->{side}->gets($key);
        my $before = $server->{cas}{$key};
        $server->{cas}{$key} = $cas // 1;
        return $back && $before ? $before : $cas // 1;
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
        @ready = map { $step->(_cas_finder($_)) } @$servers;
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
        $line =~ s/\A(VALUE [^ ]+ \d+ \d+) (\d+)\r/
            $1 . ' cas' . ($seen{$2} \/\/= keys %seen) . "\r"/e;
        if ($line =~ /\A(?:HD|VA|EX|NS|NF)\b/) {
            $line =~ s/ c(\d+)/' cas' . ($1 && ($seen{$1} \/\/= keys %seen))/e;
            $line =~ s/ t(\d+)/' t' . int(($1 + 100) \/ 1000)/e;
        }
        # Of an item, what differs with its header, its class and the moment.
        if ($line =~ /\AME /) {
            $line =~ s/ (?:la|cas|cls|size)=\d+//g;
            $line =~ s/ exp=-?\K(\d\d+)/int(($1 + 100) \/ 1000)/e;
        }
        if ($line =~ /\A(?:VALUE [^ ]+ \d+|VA) (\d+)/) {
            my $value = substr $bytes, $at, $1 + 2;
            $at += $1 + 2;
            $line =~ s/\A(VALUE [^ ]+ \d+) \d+/$1 N/
                if $value =~ s/\A(\d+) *\r\n\z/$1\r\n/;
            $line .= $value;
        }
        $out .= $line;
    }
    return $out;
}

# Ids of binary replies become their order, the version a word.
sub normalise_packets
{
    my ($bytes) = @_;
    my ($text, %seen) = ('');
    while (length $bytes >= 24) {
        my ($op, $body) = unpack 'x C x6 N', $bytes;
        my $packet = substr $bytes, 0, 24 + $body, '';
        my $cas = substr $packet, 16, 8, '';
        $cas = $seen{$cas} //= keys %seen if $cas =~ /[^\0]/;
        $text .= Client::shown($op == 11 ? 'version' : $packet, 500) . " $cas\n";
    }
    return $text . Client::shown($bytes, 100);
}

# --- many sessions -----------------------------------------------------------------

# Debian's memcached; skips the test where there is none.
sub stock
{
    my $stock = $ENV{STOCK} // '/usr/bin/memcached';
    plan skip_all => "no memcached at $stock to compare with" if !-x $stock;
    return $stock;
}

# Ours and Debian's with the same options, as run_session wants them.
sub servers
{
    my (@options) = @_;
    my @daemons = start_memcached(@options);
    push @daemons, start_memcached({binary => stock()}, @options);
    my @servers = map { {daemon => $_, side => $_->client} } @daemons;
    $servers[0]{hangs_up} = 1;
    # Those of 1.6.18 count from 1: past the small ones that sessions compare with.
    $_->{side}->send("set cas 0 0 1 noreply\r\n1\r\n" x 1000 . "delete cas\r\n")
        for @servers;
    $_->{side}->line for @servers;
    return \@servers;
}

sub _report
{
    my ($name, $ours, $theirs, @sent) = @_;
    Client::same_bytes($ours, $theirs, $name);
    diag '  sent: ', $_ for @sent;
    return;
}

my $seed;

# Calls $compare->($n) for so many sessions, each with random numbers of its own,
# until some differ; it gives what both answered and what they were sent.
# SEED=n repeats a run, SESSIONS=n has other numbers of sessions in a file (shared
# among its parts as the usual ones are), ONLY=n runs a single one.
sub compare_each
{
    my ($name, $usual, $of, $compare) = @_;
    note 'SEED=' . ($seed = $ENV{SEED} // int(time) ^ $$ << 8) if !defined $seed;
    my $count = int(($ENV{SESSIONS} // $of) * $usual / $of);
    my ($done, $wrong, $end) = (0, 0, time + $LONGEST * $usual / $of);
    for my $n ($ENV{ONLY} // (1 .. $count)) {
        last if $wrong == 3 || time > $end;
        srand(($seed * 1_000_003 + $n) & 0xffffffff);
        my ($ours, $theirs, @sent) = $compare->($n);
        $done++;
        next if $ours eq $theirs;
        $wrong++;
        _report("$name, SEED=$seed ONLY=$n", $ours, $theirs, @sent);
    }
    is $done, $count, "$count $name" if !defined $ENV{ONLY};
    return;
}

# A step in words.
sub _shown
{
    my ($step) = @_;
    my $text =
          !ref $step           ? $step
        : ref $step eq 'HASH' ? $step->{refused}
        :                        $step->(sub { 0 });
    return Client::shown($text, 250);
}

# Runs the steps of a session on both; what compare_each wants of it.
sub compare_steps
{
    my ($steps, $servers) = @_;
    $_->{main} = $_->{daemon}->client for @$servers;
    my @answers = map { normalise($_) } run_session($steps, $servers);
    return (@answers, $answers[0] eq $answers[1] ? () : map { _shown($_) } @$steps);
}

1;
