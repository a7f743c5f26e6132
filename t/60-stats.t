#!/usr/bin/perl
# Rows of stats, their names and order, beside Debian's memcached 1.6.18.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $stock = $ENV{STOCK} // '/usr/bin/memcached';
plan skip_all => "no memcached at $stock to compare with" if !-x $stock;

# Rows only 1.6.18 has, and rows only we have, each with its reason.
my %gone = (
    slab_reassign_evictions_nomem => '1.6.45 has no such row any more',
    map({ $_ => 'of a build with external storage' }
        qw(ext_item_size ext_item_age ext_low_ttl ext_recache_rate ext_wbuf_size
            ext_compact_under ext_drop_under ext_max_sleep ext_max_frag
            ext_drop_unread slab_automove_freeratio)),
);
my %new = (
    slab_reassign_busy_nomem       => 'new in 1.6.45',
    slab_reassign_last_busy_status => 'new in 1.6.45',
    client_flags_size              => 'new in 1.6.45',
    drop_privileges                => 'of a build with seccomp',
    replication                    => 'what repcached adds',
    repcached_version              => 'what repcached adds',
    repcached_qi_free              => 'what repcached adds',
);
my $ours   = start_memcached();
my $theirs = start_memcached({binary => $stock});
for my $mc ($ours, $theirs) {
    my $c = $mc->client;
    is $c->set("key$_", 'x' x $_), 'STORED' for 1, 2, 5000;
    is $c->get('key1'), 'x';
    is $c->get('key1'), 'x';
    is $c->ask('delete key2'), 'DELETED';
}

sub names
{
    my ($mc, $sub) = @_;
    my %seen;
    return grep { !$seen{$_}++ }
        map { my $n = $_->[0]; $n =~ s/\A((?:items:)?)\d+:/$1N:/; $n }
        $mc->stats($sub);
}

for my $sub ('', 'settings', 'items', 'slabs', 'sizes', 'conns') {
    my @our   = names($ours,   $sub || undef);
    my @their = names($theirs, $sub || undef);
    my %our   = map { $_ => 1 } @our;
    my %their = map { $_ => 1 } @their;
    my @extra   = grep { !$their{$_} && !$new{$_} && !/^rep/ } @our;
    my @missing = grep { !$our{$_} && !$gone{$_} } @their;
    is "@extra",   '', "stats $sub: no unknown row";
    is "@missing", '', "stats $sub: no row missing";
    next if $sub eq 'conns'; # by descriptor, which nobody promises
    is_deeply [grep { $their{$_} } @our],
        [grep { $our{$_} } @their], "stats $sub: the same order";
}

# Figures that both must agree on after the same requests.
my ($our, $their) = map { scalar $_->stats } $ours, $theirs;
for my $name (
    qw(cmd_get cmd_set cmd_flush cmd_touch cmd_meta get_hits get_misses
    get_expired get_flushed delete_misses delete_hits incr_misses incr_hits
    cas_misses cas_hits cas_badval touch_hits touch_misses store_too_large
    store_no_memory curr_items total_items evictions limit_maxbytes threads
    accepting_conns max_connections pointer_size curr_connections reserved_fds
    total_connections rejected_connections)
    )
{
    is $our->{$name}, $their->{$name}, $name;
}
for my $name (grep { /_in|uptime|time|rusage|pid/ } sort keys %$their) {
    like $our->{$name} // '(none)', qr/\A[\d.]+\z/, "$name is a number";
}
my $c = $ours->client;
$c->says("stats reset\r\n", "RESET\r\n");
my $reset = $ours->stats;
is $reset->{$_}, 0, "stats reset: $_" for qw(cmd_get cmd_set get_hits);
is $reset->{curr_items}, 2, 'stats reset leaves the items';
$c->says("stats detail on\r\n", "OK\r\n");
is $c->set('pre:a', 'x'), 'STORED';
is $c->get('pre:a'), 'x';
$c->says("stats detail dump\r\n",
    "PREFIX pre get 1 hit 1 set 1 del 0\r\nEND\r\n", 'stats detail dump');
$c->says("stats nonsense\r\n", "ERROR\r\n");
done_testing;
