#!/usr/bin/perl
# refresh_certs and SIGHUP: who comes next sees the new certificates, if they are
# any good.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use Test::More;

use Certs;
use Memcached;

my $ca = Certs->new;
my %in_force = map { $_ => scratch() . "/now.$_" } qw(chain key);

sub install
{
    my ($name) = @_;
    my ($cert, $key) = $ca->issue($name);
    copy($cert, $in_force{chain}) && copy($key, $in_force{key}) or die "copy: $!";
    return;
}

sub shown
{
    my ($mc) = @_;
    my $c = tls_client($mc, ca => $ca) or return "none: $@";
    return $c->{sock}->peer_certificate('cn');
}

install('first');
my $mc = spawn_memcached('-Z', '-o', "ssl_chain_cert=$in_force{chain},"
        . "ssl_key=$in_force{key},ssl_ca_cert=@{[$ca->file]}");
wait_for { $mc->alive && $mc->try_client } 20 or die $mc->stderr;
my $session = tls_client($mc, ca => $ca) or die $@;
is shown($mc), 'first', 'as it began';
install('second');
is shown($mc), 'first', 'a file alone changes nothing';
is $session->ask($_), 'OK', $_ for 'refresh_certs', ' refresh_certs x y',
    'refresh_certs noreply';
is shown($mc), 'second', 'who comes next sees it';
is $session->{sock}->peer_certificate('cn'), 'first', 'a session keeps its own';
is $session->ask('mn'), 'MN', 'and goes on';
my ($since) = do { $session->send("stats\r\n"); $session->read_to(qr/^END/) }
    =~ /time_since_server_cert_refresh (\d+)/;
cmp_ok $since, '<', 30, 'time_since_server_cert_refresh begins anew';

install('third');
$mc->signal('HUP');
ok +(wait_for { shown($mc) eq 'third' } 5), 'SIGHUP';
is $session->ask('mn'), 'MN', 'goes on';

# --- what cannot be used changes nothing ---
my (undef, $wrong) = $ca->issue('first');
copy($wrong, $in_force{key}) or die "copy: $!";
like $session->ask('refresh_certs'),
    qr/^Error loading the key: \Q$in_force{key}\E : error:.*mismatch$/,
    'refresh_certs says why not';
$mc->signal('HUP');
ok +(wait_for { $mc->stderr =~ /SIGHUP/ } 5), 'so does SIGHUP';
like $mc->stderr,
    qr/^Could not reload TLS certificates on SIGHUP: Error loading the key: /m,
    'in its words';
unlink $in_force{chain};
like $session->ask('refresh_certs'), qr/^Error loading the certificate chain: /,
    'a file that is gone';
is shown($mc), 'third', 'what was in force still is';
is $session->ask('mn'), 'MN', 'and sessions go on';

done_testing;
