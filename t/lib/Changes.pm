package Changes;

# Changes of one key at random, by every protocol: text and meta commands, and
# packets of the binary protocol. Expiries are either over or far away, so that what
# is there does not depend on when one looks.
#
#   my @bad = make_changes(\@clients, map { [map { draw_change('k') } 1 .. 9] } @clients);

use strict;
use warnings;

use Exporter qw(import);
use MIME::Base64 qw(encode_base64);

use Binary;
use Client;

our @EXPORT = qw(any_flush draw_change make_changes);

my $FEW_CAS = 8; # so few are chosen that some are met

sub one_of { return $_[rand @_] }

# True this often of a hundred.
sub often { return rand 100 < $_[0] }

sub expiry { return often(60) ? 0 : 1000 + 100 * int rand 9 }

sub value { return often(50) ? int rand 1000 : 'v' x rand 2000 }

sub flags { return int rand 2**32 }

sub few_cas { return 1 + int rand $FEW_CAS }

# Of a client's choice: mostly one of few, at times greater than all versions.
sub chosen_cas { return often(90) ? few_cas() : one_of('18446744073709551615', 1 << 62) }

# --- text -------------------------------------------------------------------

my @TEXT_VERBS = (('set') x 6, qw(add replace append prepend cas));

sub _text_store
{
    my ($key) = @_;
    my ($verb, $value) = (one_of(@TEXT_VERBS), value());
    return sprintf "%s %s %s %d %d%s%s\r\n%s\r\n", $verb, $key, flags(), expiry(),
        length $value, ($verb eq 'cas' ? ' ' . few_cas() : ''),
        often(10) ? ' noreply' : '', $value;
}

sub _text
{
    my ($key) = @_;
    my $kind = int rand 10;
    return "delete $key\r\n"                               if $kind == 0;
    return sprintf "incr %s %d\r\n", $key, rand 1000       if $kind == 1;
    return "decr $key 500\r\n"                             if $kind == 2;
    return "touch $key " . (often(20) ? -1 : expiry()) . "\r\n" if $kind == 3;
    return 'gats ' . expiry() . " $key\r\n"                if $kind == 4;
    return _text_store($key);
}

# --- meta -------------------------------------------------------------------

# Each flag, given with how often; `q` always may be.
sub _flags
{
    my (%of) = @_;
    my @given = grep { often($of{$_}) } sort keys %of;
    push @given, 'q' if often(20);
    return join '', map { " $_" } @given;
}

# The key, and the flag that says how it is written.
sub _meta_key
{
    my ($key) = @_;
    return often(20) ? (encode_base64($key, ''), ' b') : ($key, '');
}

sub _compared { return 'C' . few_cas() }

sub _ms
{
    my ($key, $b) = _meta_key($_[0]);
    my $mode  = one_of(('') x 5, qw(MS ME MA MP MR));
    my $value = value();
    return sprintf "ms %s %d%s%s%s\r\n%s\r\n", $key, length $value, $b,
        $mode && " $mode",
        _flags('F' . flags() => 50, 'T' . expiry() => 50, 'E' . chosen_cas() => 30,
            _compared() => 15, I => 30, 'N' . expiry() => 20, c => 20), $value;
}

sub _md
{
    my ($key, $b) = _meta_key($_[0]);
    return "md $key$b" . one_of('', ' I', ' I', ' x', ' I x')
        . _flags('T' . expiry() => 30, 'E' . chosen_cas() => 30, _compared() => 15,
            'F' . flags() => 30) . "\r\n";
}

sub _ma
{
    my ($key, $b) = _meta_key($_[0]);
    return "ma $key$b" . one_of('', ' MI', ' MD')
        . _flags('N' . expiry() => 50, 'J' . int(rand 1000) => 50,
            'D' . int(rand 1000) => 50, 'T' . expiry() => 20, _compared() => 10,
            'E' . chosen_cas() => 20, v => 30) . "\r\n";
}

sub _mg
{
    my ($key, $b) = _meta_key($_[0]);
    return "mg $key$b"
        . _flags('N' . expiry() => 50, 'R1500' => 50,
            'T' . (often(10) ? -1 : expiry()) => 30, 'E' . chosen_cas() => 20, t => 20)
        . "\r\n";
}

# --- binary -----------------------------------------------------------------

sub _binary
{
    my ($key) = @_;
    my $verb = one_of(('set') x 6,
        qw(add replace append prepend delete incr incr decr touch gat gatk));
    my $q = often(30) && $verb ne 'touch' ? 'q' : '';
    my @o = (key => $key, cas => often(10) ? few_cas() : 0);
    push @o, value => value() if $verb =~ /set|add|replace|pend/;
    push @o, extras => set_extras(flags(), expiry()) if $verb =~ /set|add|replace/;
    push @o, extras => arith_extras(int rand 1000, int rand 1000,
        often(30) ? 0xffffffff : expiry()) if $verb =~ /cr/;
    push @o, extras => touch_extras(often(20) ? 2**30 : expiry()) # long ago
        if $verb =~ /touch|gat/;
    return packet("$verb$q", @o);
}

# ------------------------------------------------------------------------------

my @META = (\&_ms, \&_ms, \&_ms, \&_md, \&_ma, \&_mg);

# A request; its first byte tells a packet.
sub draw_change
{
    my ($key) = @_;
    return one_of(\&_text, one_of(@META), \&_binary)->($key);
}

sub any_flush { return one_of("flush_all\r\n", packet('flush'), packet('flushq')) }

sub _is_packet { return ord $_[0] == 0x80 }

# What a connection of text has to say against what it was sent.
sub _bad_lines
{
    my ($client) = @_;
    my $said = $client->read_to(qr/\AMN\r\n/);
    my @bad = $said =~ /^((?:ERROR|SERVER_ERROR|CLIENT_ERROR)[^\r]*)/mg;
    push @bad, 'no answer' if $said !~ /^MN\r\n\z/m;
    return grep { !/non-numeric/ } @bad;
}

# Not found, exists, not stored, not a number are answers as good as any.
my %GOOD = map { $_ => 1 } 0, 1, 2, 5, 6;

# Each client's side makes the changes of its list, those of each connection in
# order. All are sent before any answer is read. Gives what servers should not answer.
sub make_changes
{
    my ($clients, @lists) = @_;
    my @bad;
    my @binary = map { Binary->new($_->beside) } @$clients;
    for my $i (0 .. $#lists) {
        $clients->[$i]->send(join '', grep({ !_is_packet($_) } @{$lists[$i]}), "mn\r\n");
        $binary[$i]->client->send(join '', grep { _is_packet($_) } @{$lists[$i]});
    }
    for my $i (0 .. $#lists) {
        push @bad, _bad_lines($clients->[$i]);
        push @bad, map { $_ ? "status $_->{code}" : 'no reply' }
            grep { !$_ || !$GOOD{$_->{code}} } $binary[$i]->replies;
    }
    return @bad;
}

1;
