#!/usr/bin/perl
# Debian's start wrapper of package memcached, with a memcached.conf as that
# package has, starts this daemon.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Client;
use Memcached;

my $scripts = '/usr/share/memcached/scripts';
my $wrapper = "$scripts/systemd-memcached-wrapper";
plan skip_all => "no $wrapper"   if !-x $wrapper;
plan skip_all => 'it wants root' if $> != 0;

sub slurp
{
    my ($path) = @_;
    open my $fh, '<', $path or return '';
    local $/ = undef;
    return readline($fh) // '';
}

# The wrapper, with our path in place of /usr/bin/memcached.
my $binary = binary();
my $code   = slurp($wrapper);
is $code =~ s{"/usr/bin/memcached"}{"$binary"}g, 1, 'the wrapper names one path';
my $ours = scratch_file('wrapper', $code, 0755);

# memcached.conf of the package: its comments and blanks, our port and files.
my $port = free_port();
my $pid  = scratch() . '/pid';
chmod 0777, scratch();
my $conf = slurp('/usr/share/memcached/memcached.conf.default');
isnt $conf, '', 'the configuration of the package';
$conf =~ s/^-p .*$/-p $port/m or die 'no -p';
$conf =~ s/^-u .*$/-u nobody/m or die 'no -u';
$conf =~ s/^-P .*$/-P $pid/m if $conf =~ /^-P/m;
$conf .= "-P $pid\n" if $conf !~ /^-P/m;
$conf .= "# a comment\n-vv\n-c 1000\n-o modern,hashpower=18\n";
$conf .= '-X ' . free_port() . "\n" if has_replication();
my $file = scratch_file('memcached.conf', $conf, 0644);

my $child = fork // die "fork: $!";
if (!$child) {
    open STDERR, '>', scratch() . '/stderr' or die "$!";
    exec {$ours} $ours, $file or die "$ours: $!";
}
my $c;
ok((wait_for { $c = Client->new(port => $port) } 20), 'it listens')
    or diag slurp(scratch() . '/stderr');
is $c->set('a', 'x'), 'STORED', 'and serves';
$c->send("stats settings\r\n");
my %is = $c->read_to(qr/\AEND\r\n/) =~ /^STAT (\S+) (.*)\r$/mg;
is_deeply [@is{qw(maxbytes maxconns inter tcpport verbosity hashpower_init)}],
    [64 << 20, 1000, '127.0.0.1', $port, 2, 18], 'all options have arrived';
ok wait_for { slurp($pid) eq "$child\n" } 10;
is kill('TERM', $child), 1, 'SIGTERM';
is waitpid($child, 0), $child;
is $?, 0, 'ends it well';
done_testing;
