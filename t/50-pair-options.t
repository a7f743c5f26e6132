#!/usr/bin/perl
# The options of replication: good and bad values, and what tells of them.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

my $dir = scratch();
my @run = ($> == 0 ? ('-u', 'root') : (), '-l', '127.0.0.1', '-p', -1);

sub file
{
    my ($name, $mode, $text) = @_;
    open my $fh, '>', "$dir/$name" or die "$name: $!";
    print $fh $text;
    close $fh;
    chmod $mode, "$dir/$name" or die "$name: $!";
    return "$dir/$name";
}

my $secret = file('secret', 0600, "0123456789abcdef\n");
my $open   = file('open',   0644, "0123456789abcdef\n");
my $short  = file('short',  0600, "0123456789abcde\n");
my $peer   = 'is not a peer, <host>, <host>:<port> or [<address>]:<port>';
my $many   = join ',', map { "host$_" } 1 .. 9;

# Arguments, and what is said; the exit code is 1.
for my $row (
    ['-x host:0',            "-x: \"host:0\" $peer"],
    ['-x host:65536',        "-x: \"host:65536\" $peer"],
    ['-x host:x',            "-x: \"host:x\" $peer"],
    ['-x :5',                "-x: \":5\" $peer"],
    ['-x [::1',              "-x: \"[::1\" $peer"],
    ['-x [::1]5',            "-x: \"[::1]5\" $peer"],
    ['-x a -x b -x a',       '-x: a:11212 is named twice'],
    ['-x a,A:5 -X 4:5',      '-x: A:5 is named twice'],
    ["-x $many",             '-x: at most 8 peers can be named'],
    ['-o rep_timeout=0', 'rep_timeout must be between 1 and 86400 seconds'],
    ['-o rep_timeout',       'Missing rep_timeout argument'],
    ['-o rep_listen',        'Missing rep_listen argument'],
    ['-o rep_listen=', 'rep_listen must be addresses with commas between, '
            . 'got "" (-X sets the port)'],
    ['-o rep_listen=127.0.0.1,::1:,a:5', 'rep_listen must be addresses with '
            . 'commas between, got "a:5" (-X sets the port)'],
    ['-o rep_legacy=host', 'rep_legacy must be any, off, or IP addresses with '
            . 'commas between, got "host"'],
    ['-o rep_legacy=off,any', 'rep_legacy=off goes with no other value of it'],
    ['-o rep_secret_file',   'Missing rep_secret_file argument'],
    ["-o rep_secret_file=$dir/no",
        "rep_secret_file $dir/no: No such file or directory"],
    ["-o rep_secret_file=$open", 'rep_secret_file may be accessible to its '
            . "owner only, its mode is 644: chmod 600 $open"],
    ["-o rep_secret_file=$short", 'rep_secret_file must hold at least 16 '
            . "bytes, got 15: head -c 32 /dev/urandom | base64 > $short"],
    ["-o rep_secret_file=$secret,rep_legacy=any", 'rep_secret_file and '
            . 'rep_legacy do not go together: repcached 2.x cannot prove a '
            . 'secret'],
    )
{
    my ($args, $text) = @$row;
    my ($exit, undef, $err) = run_binary(@run, split / /, $args);
    is "$exit $err", "1 $text\n", $args;
}

my @names = qw(rep_peers rep_listen_port rep_connect_port rep_listen
    rep_tls rep_secret_file rep_legacy rep_timeout rep_serve_early rep_log
    rep_floors rep_copy_rate rep_queue);
my $mc   = start_memcached('-X', my $port = free_port());
my @rows = $mc->stats('settings');
my %is   = map { @$_ } @rows;
is_deeply [map { $_->[0] } splice @rows, -@names], \@names,
    'the rows of `stats settings` come last';
is join(' ', map { $is{$_} } @names),
    "NULL $port $port NULL no no NULL 5 no 16777216 1048576 0 8192", 'the defaults';
$port = free_port();
$mc = start_memcached(split / /, "-x localhost -x [::1]:7 -X $port:9 -q 5 -o "
        . 'rep_listen=127.0.0.1,127.0.0.2,rep_legacy=off -o rep_listen=127.0.0.3'
        . ",rep_secret_file=$secret,rep_timeout=9,rep_serve_early"
        . ',rep_log=1m,rep_floors=64k,rep_copy_rate=20k');
%is = map { @$_ } $mc->stats('settings');
is join(' ', map { $is{$_} } @names), "localhost,[::1]:7 $port 9 "
    . '127.0.0.1,127.0.0.2,127.0.0.3 no yes off 9 yes 1048576 65536 20480 5',
    'and what was given';
ok(Client->new(host => "127.0.0.$_", port => $port), "listens at $_")
    for 1 .. 3;
ok !Client->new(host => '127.0.0.4', port => $port), 'and nowhere else';
done_testing;
