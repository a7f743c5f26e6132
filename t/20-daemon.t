#!/usr/bin/perl
# -d, -P, -u, -s and -a: what the daemon is to its system.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Client;
use Memcached;

my @root = $> == 0 ? qw(-u nobody) : ();
my $dir  = scratch();
chmod 0777, $dir or die "$dir: $!";

sub slurp
{
    my ($path) = @_;
    open my $fh, '<', $path or return '';
    local $/ = undef;
    return readline($fh) // '';
}

sub rep { return has_replication() ? ('-X', free_port()) : () }

# A daemon is there when the command returns, and gone after SIGTERM.
my $port = free_port();
my @args = (@root, rep(), '-p', $port, '-l', '127.0.0.1');
my ($exit, $out, $err) = run_binary(@args, '-d', '-P', "$dir/pid");
is "$exit$out$err", '0', 'the parent ends well';
my ($pid) = slurp("$dir/pid") =~ /\A(\d+)\n\z/;
ok $pid, 'the pid file is there' or BAIL_OUT('no pid, nothing to end');
ok !-e "$dir/pid.tmp", 'its draft is not';
my $c = Client->new(port => $port);
like $c->ask('version'), qr/\AVERSION/, 'it serves at once';

# Started again on the same port: the caller hears of it, even with -d.
for my $d ([], ['-d']) {
    ($exit, $out, $err) = run_binary(@args, @$d);
    is $exit, 71, "@$d a busy port is an error";
    like $err, qr/\Afailed to listen on .*: Address already in use\n\z/m,
        'with a reason';
}

# A second one with the same pid file is warned.
my $other = spawn_memcached(@root, '-P', "$dir/pid");
ok wait_for { slurp("$dir/pid") =~ /^$other->{pid}$/ } 20;
my $warning = 'WARNING: The pid file contained the following (running) pid:';
like $other->stderr, qr/^\Q$warning\E $pid$/m, 'a running pid is named';
$other->stop;
isnt slurp("$dir/pid"), '', 'only a daemon removes its pid file';

is kill('TERM', $pid), 1, 'SIGTERM';
ok wait_for { !kill 0, $pid } 20;
ok !-e "$dir/pid", 'the pid file is removed';

# A unix socket belongs to the user, with the permissions asked for.
my $mc = start_memcached({unix => 1}, '-a', '0750');
is sprintf('%o', (stat $mc->{path})[2] & 07777), '750', '-a';
is $mc->client->ask('get a'), 'END', 'it serves';
$mc->stop;
ok -S $mc->{path}, 'the socket stays';
$mc->restart;
is $mc->client->ask('get a'), 'END', 'and is taken over';

SKIP: {
    skip 'not root', 6 if $> != 0;
    my $path = "$dir/sock";
    my $user = spawn_memcached({bare => 1}, @root, rep(), '-s', $path);
    $user->{path} = $path;
    ok $user->wait_ready(20), 'as nobody, on a unix socket';
    is((stat $path)[4], scalar getpwnam('nobody'), 'which is its own');
    like slurp("/proc/$user->{pid}/status"),
        qr/^Uid:\s+(\d+)\s+\1\s+\1\s.*^Groups:\s*$/ms, 'no groups are left';
    my ($low) = grep { !Client->new(port => $_) } 700 .. 720;
    my $mc = start_memcached({port => $low, bare => 1}, @root, rep(),
        '-p', $low, '-l', '127.0.0.1');
    is $mc->client->ask('get a'), 'END', 'nobody serves a port below 1024';
    is((run_binary('-p', 0))[0], 64, 'root needs -u');
    is((run_binary('-u', 'no-such-user'))[0], 67, 'that exists');
}

done_testing;
