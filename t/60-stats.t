#!/usr/bin/perl
# Rows of stats, their names and order, beside Debian's memcached 1.6.18.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use StatsRows;

my $stock = $ENV{STOCK} // '/usr/bin/memcached';
plan skip_all => "no memcached at $stock to compare with" if !-x $stock;

my $ours   = start_memcached();
my $theirs = start_memcached({binary => $stock});
for my $mc ($ours, $theirs) {
    my $c = $mc->client;
    is $c->set("key$_", 'x' x $_), 'STORED' for 1, 2, 5000;
    is $c->get('key1'), 'x';
    is $c->get('key1'), 'x';
    is $c->ask('delete key2'), 'DELETED';
}

for my $sub ('', 'settings', 'items', 'slabs', 'sizes') {
    same_rows("stats $sub", map { [$_->stats($sub || undef)] } $ours, $theirs);
}
# By descriptor, which nobody promises. Connections that we closed end soon.
my @kinds;
wait_for {
    @kinds = map { join ' ', sort map { $_->[0] =~ s/\A\d+://r } $_->stats('conns') }
        $ours, $theirs;
    $kinds[0] eq $kinds[1];
}
5;
is $kinds[0], $kinds[1], 'stats conns';

# Figures that both must agree on after the same requests.
my ($our, $their);
wait_for {
    ($our, $their) = map { scalar $_->stats } $ours, $theirs;
    $our->{curr_connections} == $their->{curr_connections};
}
5;
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
