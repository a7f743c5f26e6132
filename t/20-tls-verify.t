#!/usr/bin/perl
# -o ssl_verify_mode, btls: and mtls:, whom they let in, and that a session made
# at one of them opens no other.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Certs;
use Memcached;

my $ca    = Certs->new;
my $other = Certs->new;

# What a listener says to a client without a certificate, with a good one and
# with one that a stranger signed; in each version of TLS.
sub lets_in
{
    my ($mc, $expect, $name, %more) = @_;
    my ($cert, $key) = $other->issue('stranger');
    for my $version ('TLSv1_2', 'TLSv1_3') {
        my %opt = (ca => $ca, SSL_version => $version, %more);
        my @got = (
            ask_tls($mc, %opt),
            ask_tls($mc, %opt, as => 'client'),
            ask_tls($mc, %opt, SSL_cert_file => $cert, SSL_key_file => $key),
        );
        is_deeply \@got, $expect, "$name, $version";
    }
    return;
}

my ($btls, $mtls) = (free_port(), free_port());
my @expect = (
    ['MN', 'MN', 'MN'],    # not asked for
    ['MN', 'MN', ''],      # a bad one is refused
    ['',   'MN', ''],
    ['',   'MN', ''],
);
for my $mode (0 .. 3) {
    my $mc = tls_memcached($ca, '-o', "ssl_verify_mode=$mode", '-l',
        "127.0.0.1,btls:127.0.0.1:$btls,mtls:127.0.0.1:$mtls");
    my ($port) = grep { $_ != $btls && $_ != $mtls } map { $_->[1] } $mc->ports;
    $mc->{port} = $port;
    lets_in($mc, $expect[$mode], "ssl_verify_mode=$mode");
    lets_in($mc, $expect[0], "btls: with $mode", port => $btls);
    lets_in($mc, $expect[2], "mtls: with $mode", port => $mtls);
    my $c = tls_client($mc, ca => $ca, port => $btls) or die $@;
    $c->send("stats settings\r\n");
    my ($shown) = $c->read_to(qr/^END/) =~ /ssl_verify_mode (\d+)/;
    is $shown, (0, 1, 3, 7)[$mode], 'as stats settings has it';
    $mc->stop;
}

# --- sessions ---
my $mc = tls_memcached($ca, '-o', 'ssl_session_cache', '-l',
    "mtls:127.0.0.1:$mtls,btls:127.0.0.1:$btls");

# Whether a second connection resumes the session of a first, and is answered.
sub resumes
{
    my ($version, $from, $to, %opt) = @_;
    my %tls = (
        ca              => $ca,
        SSL_version     => $version,
        SSL_session_key => 'same',
        SSL_session_cache => IO::Socket::SSL::Session_Cache->new(4),
        %opt
    );
    my $first = tls_client($mc, %tls, port => $from) or return 'refused at first';
    $first->ask('mn') // return 'refused at first';
    $first->{sock}->close;
    my $c = tls_client($mc, %tls, port => $to) or return 'refused';
    my $answer = $c->ask('mn') // return 'refused';
    return $c->{sock}->get_session_reused ? 'resumed' : 'anew';
}

for my $version ('TLSv1_2', 'TLSv1_3') {
    is resumes($version, $btls, $btls), 'resumed', "a session is resumed, $version";
    is resumes($version, $mtls, $mtls, as => 'client'), 'resumed',
        "one with a certificate, $version";
    is resumes($version, $btls, $mtls), 'refused',
        "one of btls: does not open mtls:, $version";
}
my $c = tls_client($mc, ca => $ca, port => $btls) or die $@;
$c->send("stats\r\n");
my ($sessions) = $c->read_to(qr/^END/) =~ /ssl_new_sessions (\d+)/;
cmp_ok $sessions, '>=', 4, 'ssl_new_sessions';

done_testing;
