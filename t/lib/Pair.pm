package Pair;

# Daemons on the nodes of a Netns, and what tests of several daemons need: a storm of
# changes on every side, and whether all hold the same.
#
#   my $net = Netns->new(2);
#   my @mc  = start_nodes($net, args => ['-o', 'rep_timeout=2']);
#   outage_ok($net, \@mc, 2, 'a cut', sub { $net->cut(0) });
#   agree_ok(\@mc, [@keys], 5, 'the same');

use strict;
use warnings;

use Exporter qw(import);
use Test::More;
use Time::HiRes qw(time);

use Changes;
use Memcached;

our @EXPORT = qw(
    agree_ok all_linked contents differing have_ok in_sync none_linked outage_ok
    requests rows start_nodes storm storm_keys storm_until
);

# One daemon on each node, all linked and at rest. Options: dials => [the nodes with -x]
# (default: all), args => [more arguments].
sub start_nodes
{
    my ($net, %opt) = @_;
    my @all   = 0 .. $net->nodes - 1;
    my %dials = map { $_ => 1 } @{$opt{dials} // \@all};
    my @mc;
    for my $i (@all) {
        my @peers = map { $net->addr($_) } grep { $_ != $i } @all;
        push @mc,
            spawn_memcached(
            {unix => 1, under => [$net->enter($i)]},
            '-X', 11_212, ($dials{$i} ? map({ ('-x', $_) } @peers) : ()),
            @{$opt{args} // []}
            );
    }
    for my $mc (@mc) {
        $mc->wait_ready(20) or die "no answer\n", $mc->stderr;
    }
    wait_for { in_sync(@mc) } 20 or die "no link\n", map { $_->stderr } @mc;
    return @mc;
}

sub all_linked { return !grep { !linked($_) } @_ }

sub none_linked { return !grep { linked($_) } @_ }

# All are linked, and each has confirmed all there was.
sub in_sync { return all_linked(@_) && !grep { !$_ } rows('in_sync', @_) }

# A row of `stats replication`, of each.
sub rows
{
    my ($row, @mc) = @_;
    return map { $_->stats('replication')->{$row} } @mc;
}

# --- changing -----------------------------------------------------------------

# Sends each client the requests of its list, to all before any answer is
# read; each has one line. Gives the answers that are errors of the server.
sub requests
{
    my ($clients, @lists) = @_;
    my @bad;
    $clients->[$_]->send(join '', @{$lists[$_]}) for 0 .. $#lists;
    for my $i (0 .. $#lists) {
        for (@{$lists[$i]}) {
            my $line = $clients->[$i]->line // 'no answer';
            push @bad, $line if $line =~ /\A(?:ERROR|SERVER_ERROR|no)/;
        }
    }
    return @bad;
}

my $STORM_KEYS = 200;
my $END_SLOP   = 5;     # ends differ by clocks

sub storm_keys { return map { "storm$_" } 1 .. $STORM_KEYS }

# $count random changes, of keys that the others change too, on every side at once.
sub storm
{
    my ($clients, $count) = @_;
    my @keys = storm_keys();
    my @bad  = make_changes($clients,
        map { [map { draw_change($keys[rand @keys]) } 1 .. $count] } @$clients);
    is "@bad", '', 'every change was answered' if @bad;
    return;
}

# Storms until the block is true, at most $bound seconds: gives how long it
# took, and undef when it did not become true.
sub storm_until(&$$)
{
    my ($condition, $bound, $clients) = @_;
    my $start = time;
    my $ok    = wait_for {
        storm($clients, 10);
        $condition->()
    }
    $bound;
    return $ok ? time - $start : undef;
}

# --- comparing ----------------------------------------------------------------

# The answer to gets: what it says of each key, "flags length cas" and value.
sub _parse
{
    my ($text) = @_;
    my %has;
    while ($text =~ /\GVALUE (\S+) (\d+ (\d+) \d+)\r\n/gc) {
        my ($key, $head, $len) = ($1, $2, $3);
        $has{$key} = "$head " . substr $text, pos $text, $len;
        pos($text) += $len + 2;
    }
    die 'unexpected answer to gets: ', Client::shown($text, 200)
        if substr($text, pos($text) // 0) ne "END\r\n";
    return \%has;
}

# Asks each daemon for the same keys, some at a time, and calls with the
# answers. Values do not end with END and an end of line.
sub _ask_all
{
    my ($mc, $keys, $call) = @_;
    my @c = map { $_->client } @$mc;
    for (my $i = 0; $i < @$keys; $i += 200) {
        my $last = $i + 199 < $#$keys ? $i + 199 : $#$keys;
        my @some = @{$keys}[$i .. $last];
        $_->send("gets @some\r\n") for @c;
        $call->(\@some, map { $_->read_ending("END\r\n") } @c);
    }
    return;
}

# What a daemon holds of these keys: "flags length cas value" by key.
sub contents
{
    my ($mc, @keys) = @_;
    my %all;
    _ask_all(
        [$mc],
        \@keys,
        sub {
            my $has = _parse($_[1]);
            @all{keys %$has} = values %$has;
        }
    );
    return \%all;
}

# The keys that not all hold alike: value, flags and cas, or that it is absent.
sub differing
{
    my ($mc, @keys) = @_;
    my @differ;
    _ask_all(
        $mc,
        \@keys,
        sub {
            my ($some, $first, @others) = @_;
            return if !grep { $_ ne $first } @others;
            my @has = map { _parse($_) } $first, @others;
            for my $key (@$some) {
                my %kind = map { ($_->{$key} // '') => 1 } @has;
                push @differ, $key if keys %kind > 1;
            }
        }
    );
    return @differ;
}

# What is told of these keys by meta commands: flags, cas, length, the key as it was
# given, who is to make it anew; the seconds left follow a tab.
sub _marks
{
    my ($mc, @keys) = @_;
    my ($c, @all) = ($mc->client);
    while (my @some = splice @keys, 0, 500) {
        $c->send(join '', map({ "mg $_ t f c s k\r\n" } @some), "mn\r\n");
        push @all, split /\r\n/, $c->read_ending("MN\r\n");
        pop @all;
    }
    return map { s/ t(-?\d+)(.*)/$2\t$1/r } @all;
}

# The keys whose marks are not the same, or whose ends are over 5 s apart. All is to be
# in sync: who asks the first daemon wins stale items, and at the others they are won.
sub _marked_otherwise
{
    my ($mc, @keys) = @_;
    my (@first, @bad);
    for my $one (@$mc) {
        my @has = _marks($one, @keys);
        @first = map { s/ X W\t/ Z X\t/r } @has if !@first;
        @has = @first if $one == $mc->[0];
        die 'keys without an answer' if @has != @keys;
        push @bad, map { "$keys[$_]: $first[$_], $has[$_]" =~ s/\t/ t/gr }
            grep { $has[$_] ne $first[$_] && !_alike($has[$_], $first[$_]) } 0 .. $#keys;
        wait_for { in_sync(@$mc) } 10;
    }
    return @bad;
}

# But for the seconds that pass between two questions, and those that ends may differ.
sub _alike
{
    my @has  = map { /\A(.*)\t(-?\d+)\z/ ? [$1, $2] : return 0 } @_;
    my @left = map { $_->[1] } @has;
    return $has[0][0] eq $has[1][0] && abs($left[0] - $left[1]) <= $END_SLOP
        && !grep({ $_ < 0 } @left);
}

# One test: within $bound seconds all are linked, each has what the others had
# to tell, and all hold the same of these keys; then, that all have the same marks.
sub agree_ok
{
    my ($mc, $keys, $bound, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $start = time;
    my @differ;
    my $ok = wait_for {
        in_sync(@$mc) && !(@differ = differing($mc, @$keys))
    }
    $bound;
    ok $ok, sprintf '%s: equal after %.2f s', $name, time - $start;
    if ($ok) {
        my @bad = _marked_otherwise($mc, @$keys);
        return is join('; ', grep { defined } @bad[0 .. 7]), '',
            "$name: ends and marks are equal";
    }
    diag 'link: ', join ' ', rows('link_status', @$mc), rows('in_sync', @$mc);
    diag scalar @differ, " of them differ: @differ[0 .. ($#differ & 7)]" if @differ;
    return;
}

# One test: soon all of these clients see this value, undef: none.
sub have_ok
{
    my ($clients, $key, $value, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $want = defined $value ? "=$value" : '';
    my @has;
    my $ok = wait_for {
        @has = map { my $got = $_->get($key); defined $got ? "=$got" : '' } @$clients;
        !grep { $_ ne $want } @has
    }
    10;
    ok $ok, $name // "$key on all";
    diag "$key: ", join ' ', map { Client::shown($_, 40) } @has if !$ok;
    return;
}

# Tests an outage of a network whose daemons have this rep_timeout: $fault
# begins it, both sides notice, write on for $more seconds, and find each other
# again.
sub outage_ok
{
    my ($net, $mc, $timeout, $name, $fault, $more) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $clients = [map { $_->client } @$mc];
    storm($clients, 500);
    $fault->();
    # A storm under way takes up to a second on a busy machine.
    my $took = storm_until { none_linked(@$mc) } $timeout + 2, $clients;
    ok defined $took, sprintf '%s: noticed after %.2f s', $name, $took // -1;
    storm_until { 0 } $more, $clients;
    isnt scalar differing($mc, storm_keys()), 0, 'each side has its own';
    $net->heal;
    $took = storm_until { all_linked(@$mc) } 2, $clients;
    ok defined $took, sprintf '%s: linked again after %.2f s', $name,
        $took // -1;
    agree_ok($mc, [storm_keys()], 5, $name);
    return;
}

1;
