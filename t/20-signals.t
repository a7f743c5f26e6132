#!/usr/bin/perl
# What signals do, the shutdown command, and what -V, -h and -i say.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

# Ends a daemon started with @args by $how; gives exit code and its lines.
sub ended
{
    my ($how, @args) = @_;
    my $mc = start_memcached(@args)->may_end;
    my $c  = $mc->client;
    if ($how =~ /^shutdown/) {
        $c->send("$how\r\n");
    } else {
        $mc->signal($how);
    }
    my $exit = $mc->wait_exit;
    $c->closes("$how closes clients");
    return $exit . ': ' . join '|',
        grep { !/^replication: / } split /\n/, $mc->stderr;
}

my $graceful = '0: Gracefully stopping';
my $steps    = join '|', $graceful, 'asking workers to stop',
    'asking background threads to stop', 'stopped lru crawler',
    'stopped slab mover', 'closing connections', 'reaping worker threads',
    'all background threads stopped';
is ended('TERM'), '0: ', 'SIGTERM is silent';
is ended('TERM', '-v'), '0: Exiting normally', 'but for -v';
is ended('INT',  '-v'), '0: Exiting normally', 'SIGINT';
is ended('USR1'), $graceful, 'SIGUSR1';
is ended('USR1', '-v'), $steps, 'SIGUSR1 with -v';
is ended('shutdown', '-A', '-v'), '0: Exiting normally', 'shutdown';
is ended('shutdown graceful', '-A'), $graceful, 'shutdown graceful';

my $mc = start_memcached();
$mc->signal('HUP');
$mc->signal('PIPE');
is $mc->client->ask('get a'), 'END', 'SIGHUP and SIGPIPE change nothing';

my @version = ('memcached 1.6.45', has_replication() ? 'repcached 3.0.0' : ());
my $version = join "\n", @version, '';
is((run_binary('-V'))[1], $version, '-V');
is substr((run_binary('-h'))[1], 0, length $version), $version, '-h';
like((run_binary('-h'))[1],
    qr/\n-x <ip_addr>  [^\n]+\n-X <num:num>  [^\n]+ <listen:connect>[^\n]+\n\z/,
    '-h ends with the options of replication') if has_replication();
open my $fh, '<', ($ENV{srcdir} // "$FindBin::Bin/..") . '/LICENSE'
    or die "LICENSE: $!";
local $/ = undef;
is((run_binary('-i'))[1], "$version\n" . readline $fh, '-i is the LICENSE');

done_testing;
