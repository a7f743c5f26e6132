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

sub storm_keys { return map { "storm$_" } 1 .. $STORM_KEYS }

# One change of a key that the other sides change too.
sub _change
{
    my $key   = 'storm' . (1 + int rand $STORM_KEYS);
    my $value = rand 2 < 1 ? int rand 1000 : 'v' x rand 2000;
    my $flags = int rand 2**32;
    my $kind  = int rand 10;
    return "delete $key\r\n"             if $kind == 0;
    return "incr $key 7\r\n"             if $kind == 1;
    return "decr $key 1000\r\n"          if $kind == 2;
    return "touch $key -1\r\n"           if $kind == 3;
    my $verb = (qw(add replace append prepend), ('set') x 6)[$kind];
    return sprintf "%s %s %d 0 %d\r\n%s\r\n", $verb, $key, $flags,
        length $value, $value;
}

# $count random changes on every side at once.
sub storm
{
    my ($clients, $count) = @_;
    my @bad = requests($clients,
        map { [map { _change() } 1 .. $count] } @$clients);
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

# One test: within $bound seconds all are linked, each has what the others had
# to tell, and all hold the same of these keys.
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
    return if $ok;
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
    my $took = storm_until { none_linked(@$mc) } $timeout + 1, $clients;
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
