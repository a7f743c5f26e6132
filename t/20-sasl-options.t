#!/usr/bin/perl
# -S: what does not go with it, what it says, and which listeners it leaves open.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Binary;
use Memcached;
use Sasl;

my $folder = sasl_folder();
my @user   = $> == 0 ? ('-u', 'root') : ();

sub fails
{
    my ($exit, $err, @args) = @_;
    my @got = run_binary(@user, '-S', @args);
    is_deeply [@got[0, 2]], [$exit, "$err\n"], "-S @args";
    return;
}
my $no_ascii = 'ERROR: You cannot allow the ASCII protocol while using SASL.';
fails(64, $no_ascii, '-B', 'ascii');
fails(64, $no_ascii, '-B', 'auto');
my $users = scratch_file('users', "a:b\n");
fails(64, 'ERROR: You cannot allow the BINARY protocol while using ascii '
        . 'authentication tokens.', '-Y', $users);
{
    local $ENV{SASL_CONF_PATH} = '/no/folder';
    fails(1, 'Error initializing sasl.');
    fails(1, "Failed to locate a config path\nError initializing sasl.", '-v');
}

my ($ascii, $auto, $binary) = map { free_port() } 1 .. 3;
my $mc = sasl_memcached('-vv', '-l', "proto[ascii]:127.0.0.1:$ascii,"
        . "proto[negotiating]:127.0.0.1:$auto,127.0.0.1:$binary");
like $mc->stderr, qr/^Reading configuration from: <\Q$folder\E>\nInitialized SASL\.$/m,
    'what it says at start';
my @warned = $mc->stderr =~ /^WARNING: (\S+) lets in text commands without /mg;
is "@warned", "proto[ascii]:127.0.0.1:$ascii proto[negotiating]:127.0.0.1:$auto",
    'who lets in text is warned of';
for my $port ($ascii, $auto) {
    is +Client->new(port => $port)->ask('mn') // '', 'MN', 'text is let in there';
}
for my $port ($auto, $binary) {
    my $b = Binary->new(Client->new(port => $port));
    like told($b, packet('noop')), qr/Auth failure/, 'binary packets are not';
}
my $c = Client->new(port => $binary);
$c->ends_with("stats\r\n" . ' ' x 24, '', 'nor is text at the others');
my $b = Binary->new(Client->new(port => $binary));
told($b, packet('sasl_auth', key => 'PLAIN', value => "\0bob\0wrong"));
told($b, packet('sasl_auth', key => 'PLAIN', value => "\0bob\0secret"));
my %set = binary_stats($b, 'settings');
is $set{auth_enabled_sasl}, 'yes',    'stats settings';
is $set{binding_protocol},  'binary', 'the protocol it implies';
my $err = $mc->stderr;
for my $line ("authenticated() in cmd 0x0a is false", "mech:  ``PLAIN'' with 10 bytes"
    . ' of data', 'sasl result code:  -13', 'Unknown sasl response:  -13',
    'SASL (severity 2): Password verification failed', 'sasl result code:  0',
    'authenticated() in cmd 0x10 is true')
{
    like $err, qr/^\Q$line\E$/m, "-vv: $line";
}
unlike $err, qr/secret|wrong/, 'and no password';

done_testing;
