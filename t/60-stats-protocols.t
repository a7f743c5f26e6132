#!/usr/bin/perl
# Rows of stats and figures beside Debian's memcached 1.6.18 where text alone does
# not do: the binary protocol, SASL, TLS.

use strict;
use warnings;
use FindBin;
use Test::More;
use lib "$FindBin::Bin/lib";
use Binary;
use Certs;
use Memcached;
use Sasl;
use StatsRows;
my $stock = $ENV{STOCK} // '/usr/bin/memcached';
plan skip_all => "no memcached at $stock to compare with" if !-x $stock;
my ($ca, $x) = (Certs->new, set_extras());

sub both
{
    my @options = @_;
    my @mc = map { spawn_memcached({$_ ? (binary => $_) : ()}, @options) }
        undef, $stock;
    for my $mc (@mc) {
        wait_for { $mc->alive or die $mc->stderr; $mc->try_client } 20 or die;
    }
    return @mc;
}

my @events = (
    packet('set', key => 'a', extras => $x, value => 'abc'),
    packet('set', key => 'big', extras => $x, value => 'x' x 700_000),
    packet('set', key => 'a', extras => $x, value => 'x', cas => 99),
    packet('add', key => 'a', extras => $x), packet('append', key => 'zz'),
    packet('replaceq', key => 'zz', extras => $x, cas => 1),
    packet('get', key => 'a'), packet('getkq', key => 'zz'), packet('delete', key => 'zz'),
    packet('touch', key => 'a', extras => touch_extras(9)),
    packet('gat', key => 'zz', extras => touch_extras(9)),
    packet('incr', key => 'n', extras => arith_extras(1, 5, 0)),
    packet('decr', key => 'n', extras => arith_extras(1, 5, 0)),
    packet('incr', key => 'zz', extras => arith_extras(1, 5, 0xffffffff)),
    packet('delete', key => 'a'), packet('flush', extras => touch_extras(5000)),
    packet('stat', key => 'detail on'),
);
my @figures = qw(cmd_get cmd_set cmd_flush cmd_touch cmd_meta get_hits get_misses
    delete_misses delete_hits incr_misses incr_hits decr_misses decr_hits cas_misses
    cas_hits cas_badval touch_hits touch_misses store_too_large store_no_memory
    auth_cmds auth_errors curr_items evictions);

# Compares all groups that $rows gives, and the figures of two of them.
sub compare
{
    my ($name, $ours, $theirs, @known) = @_;
    same_rows("$name: '$_'", $ours->{$_}, $theirs->{$_}) for sort keys %$ours;
    my ($our, $their) = map { +{map { @$_ } @{$_->{''}}} } $ours, $theirs;
    is $our->{$_}, $their->{$_}, "$name: $_" for @figures, @known;
    ($our, $their) = map { +{map { @$_ } @{$_->{settings}}} } $ours, $theirs;
    is $our->{$_}, $their->{$_}, "$name: $_"
        for grep { /bind|auth_|ssl_|detail|udpport/ } keys %$their;
    return;
}
sub all_binary
{
    my $b = shift;
    return {map { $_ => [binary_rows($b, $_)] } '', qw(settings items slabs sizes)};
}

for my $options (['-B', 'binary'], ['-B', 'auto', '-o', 'track_sizes']) {
    my @b = map { Binary->new($_->client) } both(@$options);
    $_->replies(@events) for @b;
    compare("@$options", map { all_binary($_) } @b);
}
{
    local $ENV{SASL_CONF_PATH} = sasl_folder();
    my @b = map { Binary->new($_->client) } both('-S');
    for my $b (@b) {
        told($b, packet('sasl_auth', key => 'PLAIN', value => "\0bob\0$_"))
            for 'wrong', 'secret';
        $b->replies(@events);
    }
    compare('-S', map { all_binary($_) } @b);
}

for my $more ('', ',ssl_session_cache,ssl_verify_mode=1,ssl_min_version=3') {
    my @all;
    for my $mc (both('-Z', '-o', $ca->options('server') . $more)) {
        my $plain = $mc->client;
        $plain->send("version\r\n");
        ok $plain->closed, 'plain text is no handshake';
        my $c = tls_client($mc, ca => $ca) or die $@;
        is $c->set('a', 'x'), 'STORED', 'TLS';
        push @all, {map { $_ => [text_rows($c, $_)] } '', qw(settings items slabs)};
    }
    compare("-Z$more", @all, $more ? 'ssl_new_sessions' : ());
    my ($our, $their) = map { +{map { @$_ } @{$_->{''}}} } @all;
    cmp_ok $our->{ssl_handshake_errors}, '>', 0, 'ssl_handshake_errors';
    my $since = 'time_since_server_cert_refresh'; # they did not start at once
    cmp_ok abs($our->{$since} - $their->{$since}), '<', 10, $since;
}
done_testing;
