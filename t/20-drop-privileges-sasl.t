#!/usr/bin/perl
# -o drop_privileges with -S: workers still find out who a client is, in a file
# or from a service of the host, and one who is nobody ends nothing.

use strict;
use warnings;

use FindBin;
use IO::Socket::UNIX;
use POSIX ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Memcached;
use Sasl;

plan skip_all => 'not built with seccomp'
    if (run_binary('-h'))[1] !~ /^   - drop_privileges:/m;
plan skip_all => 'a sanitizer makes calls of its own' if is_sanitized();

sub proves
{
    my ($mc, $name) = @_;
    my $b = Binary->new($mc->client);
    like told($b, packet('sasl_auth', key => 'PLAIN', value => "\0bob\0wrong")),
        qr/Auth failure/, "$name: a wrong password";
    like told($b, packet('sasl_auth', key => 'PLAIN', value => "\0bob\0secret")),
        qr/Authenticated/, 'the right one';
    unlike told($b, packet('noop')), qr/Auth failure|closed/, 'and in';
    ok $mc->alive, 'all goes on';
    return;
}

proves(sasl_memcached('-o', 'drop_privileges'), 'a file of users');

# What saslauthd does: four strings, and a word.
my $folder = scratch() . '/asked';
mkdir $folder or die $!;
scratch_file('asked/memcached.conf',
    "mech_list: plain\npwcheck_method: saslauthd\nsaslauthd_path: $folder/mux\n");
my $mux = IO::Socket::UNIX->new(Local => "$folder/mux", Listen => 5) or die $!;
my $pid = fork // die $!;
if ($pid == 0) {
    local $SIG{ALRM} = 'DEFAULT';
    alarm 60;
    for (1 .. 2) {
        my $s = $mux->accept or last;
        my $told = '';
        until ($told =~ /memcached/) {
            sysread $s, $told, 4096, length $told or last;
        }
        syswrite $s, pack 'n/a', $told =~ /\x00\x06secret/ ? 'OK' : 'NO';
    }
    POSIX::_exit(0);
}
{
    local $ENV{SASL_CONF_PATH} = $folder;
    my $mc = spawn_memcached('-S', '-o', 'drop_privileges');
    wait_for { $mc->alive or die $mc->stderr; $mc->try_client } 20
        or die $mc->stderr;
    proves($mc, 'a service of users');
}
kill 'KILL', $pid;
waitpid $pid, 0;
done_testing;
