#!/usr/bin/perl
# The options of TLS: what is refused, in which words, and what is shown.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Certs;
use Memcached;

my $ca = Certs->new;
my ($cert, $key) = $ca->issue('server');
my (undef, $wrong) = $ca->issue('client');
my $junk = scratch_file('junk.pem', "junk\n");
my @user = $> == 0 ? ('-u', 'root') : ();

sub fails
{
    my ($exit, $last, @args) = @_;
    my @got = run_binary(@user, @args);
    is $got[0], $exit, "@args: $exit";
    like $got[2], qr/(?:\A|\n)$last\n\z/, 'last line';
    return;
}

for my $name (qw(chain_cert key keyformat verify_mode ciphers ca_cert wbuf_size
    min_version))
{
    fails(1, "Missing ssl_$name argument", '-o', "ssl_$name");
}
fails(1, "could not parse argument to ssl_$_", '-o', "ssl_$_=x")
    for qw(keyformat verify_mode wbuf_size min_version);
fails(1, "Invalid ssl_$_\\. Use help to see valid options\\.", '-o', "ssl_$_=4")
    for qw(verify_mode min_version);
fails(1, 'ssl_wbuf_size must be 1 to 65536 kilobytes, got 0', '-o', 'ssl_wbuf_size=0');

my $all  = "ssl_chain_cert=$cert,ssl_key=$key";
my $load = 'Error loading the';
fails(64, 'ERROR: You cannot enable SSL without a TCP port\.', '-Z', '-p', 0);
fails(64, "$load certificate chain: \\(null\\) : .*", '-Z');
fails(64, "$load key: \\(null\\) : .*", '-Z', '-o', "ssl_chain_cert=$cert");
fails(64, "$load certificate chain: /no/file : error:.*No such file or directory",
    '-Z', '-o', "ssl_chain_cert=/no/file,ssl_key=$key");
fails(64, "$load certificate chain: $junk : error:.*no start line",
    '-Z', '-o', "ssl_chain_cert=$junk,ssl_key=$key");
fails(64, "$load key: $junk : error:.*", '-Z', '-o',
    "ssl_chain_cert=$cert,ssl_key=$junk");
fails(64, "$load key: $wrong : error:.*key values mismatch", '-Z', '-o',
    "ssl_chain_cert=$cert,ssl_key=$wrong");
fails(64, "$load CA certificate: /no/file : error:.*No such file or directory",
    '-Z', '-o', "$all,ssl_ca_cert=/no/file");
fails(64, 'Error setting the provided cipher\(s\): NONE', '-Z', '-o',
    "$all,ssl_ciphers=NONE");
like +(run_binary(@user, '-l', "${_}tls:127.0.0.1"))[2],
    qr/'@{[$_ eq 'm' ? 'o' : $_]}tls' option is valid only when SSL is enabled/,
    "${_}tls: needs -Z" for qw(no b m);

# --- versions ---
for my $min (2, 3) {
    my $mc = tls_memcached($ca, '-o', "ssl_min_version=$min");
    my @got = map { ask_tls($mc, ca => $ca, SSL_version => $_) }
        qw(TLSv1_2 TLSv1_3);
    is_deeply \@got, [$min == 2 ? 'MN' : '', 'MN'], "ssl_min_version=$min";
}

# --- DER, and what is shown ---
my $der = scratch() . '/key.der';
system('openssl', 'pkey', '-in', $key, '-outform', 'DER', '-out', $der) == 0
    or die 'openssl pkey';
my $mc = start_memcached('-Z', '-l', 'notls:127.0.0.1', '-o',
    "ssl_chain_cert=$cert,ssl_key=$der,ssl_keyformat=2,ssl_verify_mode=3,"
        . 'ssl_ciphers=HIGH,ssl_wbuf_size=32,ssl_session_cache,ssl_min_version=3');
sub shown { return [grep { $_->[0] =~ /^ssl/ } $_[0]->stats('settings')] }
my @names = map { "ssl_$_" } qw(enabled chain_cert key verify_mode keyformat ciphers
    ca_cert wbuf_size session_cache kernel_tls min_version);
my @set = ('yes', $cert, $der, 7, 2, 'HIGH', 'NULL', 32_768, qw(yes no tlsv1.3));
my @default = ('no', '(null)', '(null)', 0, 1, 'NULL', 'NULL', 16_384,
    qw(no no tlsv1.2));
is_deeply shown($mc), [map { [$names[$_], $set[$_]] } 0 .. $#set], 'settings';
my %stats = map { @$_ } $mc->stats;
is join(' ', map { $stats{$_} } qw(ssl_new_sessions ssl_handshake_errors)), '0 0',
    'stats';
cmp_ok $stats{time_since_server_cert_refresh}, '>=', 62, 'the clock of stock';
$mc = start_memcached();
is_deeply shown($mc), [map { [$names[$_], $default[$_]] } 0 .. $#default],
    'settings without -Z';
ok !grep({ /ssl|cert/ } map { $_->[0] } $mc->stats), 'no stats without -Z';
is $mc->client->ask('refresh_certs'), 'Error TLS not enabled', 'refresh_certs';

done_testing;
