#!/usr/bin/perl
# -o drop_privileges with -e: memory comes from the file, and the cache is kept.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => 'not built with seccomp'
    if (run_binary('-h'))[1] !~ /^   - drop_privileges:/m;
plan skip_all => 'a sanitizer makes calls of its own' if is_sanitized();

my $file  = scratch() . '/memory';
my $users = scratch_file('users', "u:p\n");

for my $more ([], ['-Y', $users]) {
    unlink $file, "$file.meta";
    my $mc = spawn_memcached('-e', $file, '-m', 64, '-o', 'drop_privileges', @{$more});
    my $enter = sub {
        my $c;
        wait_for { $mc->alive or die $mc->stderr; $c = $mc->try_client } 20
            or die $mc->stderr;
        $c->ask("set x 0 0 3\r\nu p") if @{$more};
        return $c;
    };
    my $c = $enter->();
    is $c->set("k$_", 'x' x 500_000), 'STORED', "@{$more} value $_" for 1 .. 6;
    $mc->signal('USR1');
    is $mc->wait_exit, 0, 'it ends in good order';
    ok -e "$file.meta", 'and leaves metadata';
    next if @{$more}; # restart() asks without a password
    $mc->restart;
    is length($enter->()->get('k6') // ''), 500_000, 'the cache is there again';
}
done_testing;
