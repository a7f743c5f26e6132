#!/usr/bin/perl
# A replication port that others can reach without a secret is warned of.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

my $file = scratch() . '/secret';
open my $fh, '>', $file or die "$file: $!";
print $fh '0123456789abcdef';
close $fh;
chmod 0600, $file or die "$file: $!";

# The first words of what a daemon says at start, '' if nothing.
sub warning
{
    my ($mc) = @_;
    my $err = $mc->stderr;
    $mc->stop;
    my $times = () = $err =~ /^WARNING: /mg;
    return $times > 1 ? "$times times" : $err;
}

my $port = free_port();
my $text = qr/\AWARNING: .* port $port .* the whole cache: .*secret.*listen.*\n\z/;
my @all = ('-l', '0.0.0.0', '-X', $port);
like warning(start_memcached(@all)), $text, 'open to all, without a secret';
is warning(start_memcached(@all, '-o', "rep_secret_file=$file")), '',
    'with a secret it may be';
is warning(start_memcached(@all, '-o', 'rep_listen=127.0.0.1')), '',
    'on loopback, whatever -l says';
is warning(start_memcached('-X', $port)), '', 'on loopback by -l';
like warning(start_memcached('-X', $port, '-o', 'rep_listen=*')), $text,
    'everywhere by rep_listen';
like warning(start_memcached(@all, '-x', '127.0.0.1', '-v')), qr/^WARNING: /m,
    'of one who dials, too';

# In the background it is said before the terminal is let go.
my ($exit, undef, $err) = run_binary(($> == 0 ? ('-u', 'root') : ()),
    @all, '-p', free_port(), '-d', '-P', scratch() . '/pid');
is $exit, 0, 'a daemon starts';
like $err, $text, 'and has said it';
open my $pid, '<', scratch() . '/pid' or die "no pid file: $!";
my $daemon = readline $pid;
kill 'TERM', $daemon;
ok((wait_for { !kill 0, $daemon } 10), 'it ends');
done_testing;
