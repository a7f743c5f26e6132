#!/usr/bin/perl
# A cache in a file (-e) is saved by SIGUSR1 alone; the file has one process, and has to be
# as large as stock demands.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Memcached;
use Test::More;

my $file = scratch() . '/memory';

# Nothing is saved by other ends than that.
for my $signal (qw(USR1 TERM INT KILL)) {
    my $mc = start_memcached({unix => 1}, '-e', $file);
    is $mc->client->get('k'), $signal eq 'TERM' ? 'v' : undef, "before $signal";
    $mc->client->set('k', 'v');
    $signal eq 'KILL' ? $mc->kill_hard : do { $mc->signal($signal); $mc->wait_exit };
    is !-e "$file.meta", $signal ne 'USR1', "$signal leaves metadata, or none";
}
# A file has one process; what cannot be opened ends it.
my $mc = start_memcached({unix => 1}, '-e', $file);
is $mc->client->get('k'), undef, 'after a crash';
like $mc->stderr, qr/no metadata save file/, 'is a clean start';
my ($exit, undef, $err) = run_binary('-u', 'root', '-e', $file, '-p', 0, '-s', "$file.sock");
is $exit, 1, 'a second process ends';
like $err, qr/another process has it/, 'and says why';
($exit, undef, $err) = run_binary('-u', 'root', '-e', '/nowhere/at/all', '-s', "$file.sock");
is $exit, 1, 'no directory';
is $err, "failed to open file for mmap: No such file or directory\n", 'is said';
($exit, undef, $err) = run_binary('-u', 'root', '-e', "$file.2", '-m', 38, '-s', "$file.sock");
is $exit, 1, 'too little memory';
like $err, qr/max memory must be at least 39 megabytes/, 'is said';
done_testing;
