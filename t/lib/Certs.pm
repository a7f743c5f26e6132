package Certs;

# Certificates of a test, made by the openssl tool: a CA and what it signed.
#
#   my $ca = Certs->new;                     # skips the test without openssl
#   my ($cert, $key) = $ca->issue('server'); # paths in PEM
#   start_memcached('-Z', '-o', $ca->options('server'));
#   my $c = tls_client($mc, ca => $ca);      # a Client, see there

use strict;
use warnings;

use Exporter qw(import);
use Test::More;

use Client;
use Memcached;

our @EXPORT = qw(ask_tls tls_client tls_memcached);

my $made = 0;

sub new
{
    my ($class) = @_;
    if (!eval { require IO::Socket::SSL; 1 }) {
        plan skip_all => 'IO::Socket::SSL is missing (libio-socket-ssl-perl)';
    }
    my $self = bless {name => 'CA ' . $made, base => scratch() . '/ca' . $made++, serial => 0}, $class;
    _openssl('req', '-x509', _new_key("$self->{base}.key"), '-subj', "/CN=$self->{name}",
        '-days', 2, '-out', $self->file);
    return $self;
}

sub _new_key
{
    my ($file) = @_;
    return ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
        '-keyout', $file);
}

sub _openssl
{
    my (@args) = @_;
    my $log = scratch() . '/openssl.log';
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDIN,  '<',  '/dev/null' or exit 126;
        open STDOUT, '>',  $log        or exit 126;
        open STDERR, '>&', \*STDOUT    or exit 126;
        exec 'openssl', @args or exit 127;
    }
    waitpid $pid, 0;
    plan skip_all => 'openssl is missing' if $? >> 8 == 127;
    die "openssl @args: see $log" if $?;
    return;
}

# The certificate of the CA itself.
sub file { return "$_[0]{base}.pem" }

# A certificate of this name, and its key.
sub issue
{
    my ($self, $name) = @_;
    my $base = "$self->{base}-$name";
    if (!-e "$base.pem") {
        _openssl('req', _new_key("$base.key"), '-subj', "/CN=$name", '-out',
            "$base.csr");
        _openssl('x509', '-req', '-in', "$base.csr", '-CA', $self->file,
            '-CAkey', "$self->{base}.key", '-set_serial', ++$self->{serial},
            '-days', 2, '-out', "$base.pem");
    }
    return ("$base.pem", "$base.key");
}

# For -o: the server has this certificate, and trusts this CA.
sub options
{
    my ($self, $name) = @_;
    return sprintf 'ssl_chain_cert=%s,ssl_key=%s,ssl_ca_cert=%s',
        $self->issue($name), $self->file;
}

# A daemon with -Z and a certificate of this CA, which accepts connections.
sub tls_memcached
{
    my ($ca, @args) = @_;
    my $mc = spawn_memcached('-Z', '-o', $ca->options('server'), @args);
    wait_for { $mc->alive or die $mc->stderr; $mc->try_client } 20
        or die $mc->stderr;
    return $mc;
}

# A Client that speaks TLS; undef, with the reason in $@, when the handshake
# fails. Options: ca => Certs (of the server), as => name of a certificate of
# it to show, port => N, and those of IO::Socket::SSL.
sub tls_client
{
    my ($mc, %opt) = @_;
    my $ca   = delete $opt{ca};
    my $port = delete $opt{port} // $mc->port;
    my $c    = Client->new(port => $port) or die "connect: $!";
    my @mine = delete $opt{as} // ();
    my ($cert, $key) = @mine ? $ca->issue(@mine) : ();
    $c->{sock}->blocking(1);
    my $ok = IO::Socket::SSL->start_SSL(
        $c->{sock},
        SSL_ca_file         => $ca->file,
        SSL_verifycn_scheme => 'none',
        ($cert ? (SSL_cert_file => $cert, SSL_key_file => $key) : ()),
        Timeout => 20,
        %opt
    );
    $@ = IO::Socket::SSL::errstr() if !$ok;
    return undef                     if !$ok;
    $c->{sock}->blocking(0);
    return $c;
}

# What a server answers to "mn" over TLS: 'MN', or '' when it did not let this
# client in (with TLS 1.3 it says so after the handshake).
sub ask_tls
{
    my (@client) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $c = tls_client(@client) or return '';
    return $c->ask('mn') // '';
}

1;
