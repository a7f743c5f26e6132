#!/usr/bin/perl
# -Y: what a file may hold, when it is read, and what does not go with it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Memcached;

my @user = $> == 0 ? ('-u', 'root') : ();
my $file = scratch() . '/users';
my $old  = 'x' x 253;

sub knows
{
    my ($mc, $user, $pass) = @_;
    my $c = $mc->try_client or return 0;
    return $c->set('k', "$user $pass") eq 'STORED';
}

sub start
{
    my ($text, @args) = @_;
    scratch_file('users', $text);
    my $mc = spawn_memcached('-Y', $file, @args);
    wait_for { $mc->alive && $mc->try_client } 20 or die $mc->stderr;
    return $mc;
}

# --- what it may hold ---
my $mc = start(join '', map { "u$_:p$_\n" } 1 .. 9);
ok knows($mc, 'u1', 'p1'), 'the first user';
ok knows($mc, 'u8', 'p8'), 'the eighth';
ok !knows($mc, 'u9', 'p9'), 'no more';
$mc = start("a:$old" . "x\nb:p\n");
ok knows($mc, 'a', $old), 'a long line is cut';
ok !knows($mc, 'a', $old . 'x'), 'it was';
ok !knows($mc, 'b', 'p'), 'and the last';
$mc = start("a:$old\nb:p");
ok knows($mc, 'b', 'p'), 'the longest line is not, and the last needs no end';

# --- reading it again ---
my $session = $mc->client;
is $session->set('k', 'b p'), 'STORED', 'a session';
scratch_file('users', "c:new\n");
$mc->signal('HUP');
ok +(wait_for { knows($mc, 'c', 'new') } 5), 'SIGHUP reads it again';
ok !knows($mc, 'b', 'p'), 'what it no longer holds is gone';
is $session->ask('mn'), 'MN', 'sessions stay';
for my $bad ("c:new\n\n", '', "nothing\n") {
    scratch_file('users', $bad);
    $mc->signal('HUP');
    $mc->signal('HUP');
    ok knows($mc, 'c', 'new'), 'a file that is no good changes nothing';
}
is $mc->stderr, '', 'without a word';
unlink $file;
$mc->signal('HUP');
ok knows($mc, 'c', 'new'), 'nor does one that is gone';

# --- what ends the start ---
sub fails
{
    my ($exit, $err, $name, @args) = @_;
    my @got = run_binary(@user, @args);
    is_deeply [@got[0, 2]], [$exit, $err], $name;
    return;
}
my $none = 'No such file or directory';
fails(1, "Could not open authfile [$file] for reading, error $none: $none\n",
    'no file', '-Y', $file);
for my $bad ('', "\n", "a:b\n\nc:d\n", "ab\n") {
    scratch_file('users', $bad);
    fails(1, "Authfile [$file] has a malformed entry. Should be 'user:password'",
        'malformed: ' . Client::shown($bad, 20), '-Y', $file);
}
scratch_file('users', "a:b\n");
fails(64, "ERROR: You cannot allow the BINARY protocol while using ascii "
        . "authentication tokens.\n", '-B auto', '-Y', $file, '-B', 'auto');
my $port = free_port();
like +(run_binary(@user, '-Y', $file, '-l', "proto[bin]:127.0.0.1:$port"))[2],
    qr/^Cannot use binary protocol when ascii authentication enabled$/m,
    'proto[binary]';
$mc = start("a:b\n", '-l', "proto[negotiating]:127.0.0.1:$port");
like $mc->stderr, qr/^WARNING: negotiating ports are ascii only when ascii/m,
    'proto[negotiating] is ascii';

done_testing;
