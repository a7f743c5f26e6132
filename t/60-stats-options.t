#!/usr/bin/perl
# Rows of stats, and figures after the same requests, beside Debian's memcached
# 1.6.18, with many sets of options.

use strict;
use warnings;
use FindBin;
use Test::More;
use lib "$FindBin::Bin/lib";
use Memcached;
use StatsRows;

my $stock = $ENV{STOCK} // '/usr/bin/memcached';
plan skip_all => "no memcached at $stock to compare with" if !-x $stock;
my $auth  = scratch_file('auth', "u:p\n");
my $let_in = "set auth 0 0 3\r\nu p\r\n";

my @sets = (
    [], ['-C'], ['-D', '|'], ['-M', '-m', 8], ['-t', 1], ['-c', 60, '-t', 1],
    ['-U', free_port()], ['-B', 'ascii'], ['-Y', $auth], ['-l', '127.0.0.1,127.0.0.2'],
    ['-F', '--disable-dumping', '-W', '-A', '-R', 5, '-I', '2m', '-f', 1.5, '-n', 100,
        '-b', 50],
    map({ ['-o', $_] } qw(no_modern no_lru_crawler no_lru_maintainer temporary_ttl=30
        no_slab_reassign no_maxconns_fast idle_timeout=60 no_hashexpand),
        'track_sizes,tail_repair_time=60,hot_lru_pct=30,warm_lru_pct=30,'
            . 'slab_automove=2,lru_crawler_sleep=5,lru_crawler_tocrawl=99',
        'worker_logbuf_size=100,watcher_logbuf_size=200,slab_automove_ratio=.5,'
            . 'slab_automove_window=7,hot_max_factor=.5,warm_max_factor=3'),
);
my @events = map { "$_\r\n" } (
    "set a 0 0 3\r\nabc", 'get a', 'get a b', 'gets a', "add a 0 0 1\r\nx",
    "replace zz 0 0 1\r\nx", "append a 0 0 1\r\nx", "prepend zz 0 0 1\r\nx",
    "cas a 0 0 1 1\r\nx", "cas zz 0 0 1 1\r\nx", "set n 5 0 1\r\n5", 'incr n 1',
    'decr n 1', 'incr zz 1', 'decr zz 1', 'incr n 1000', 'delete a', 'delete a',
    'touch n 100', 'touch zz 5', 'gat 100 n zz', 'mg n v', 'mg zz', 'mg n T50',
    'mg zz T5', 'me n', "ms m 1\r\nx", "ms m 1 ME\r\nx", 'ma n', 'ma zz',
    'ma zz2 N0 J5', 'md m', 'md m', "set e 0 -1 1\r\nx", 'get e', 'stats detail on',
    'get a:b', "set a:b 0 0 1\r\nx", 'get a:b', 'verbosity x', 'nonsense',
    'flush_all x', 'lru_crawler x', "set big 0 0 3000000\r\n" . 'x' x 3_000_000,
    "append n 0 0 3000000\r\n" . 'x' x 3_000_000, 'flush_all 5000', 'gets n',
);

# What no two daemons, or releases, have in common.
my $own = qr/\A(?: pid | uptime | time | version | libevent | rusage_.* | bytes
    | hash_(?:bytes|power_level|algorithm) | bytes_(?:read|written) | read_buf_.*
    | connection_structures | response_obj_.* | lru_maintainer_juggles | moves_.*
    | conn_yields | slab_global_page_pool | num_napi_ids | slab_automove_window
    | lru_crawler_running | lru_crawler_starts | lrutail_reflocked | get_expired
    | expired_unfetched | reclaimed | tcpport | crawler_.* | direct_reclaims
    | total_connections | curr_connections | accepting_conns | total_items | oldest )\z/x;
my %known = ('-F detail_enabled' => '1.6.45 refuses stats detail without dumps');

sub rows_after
{
    my ($binary, @options) = @_;
    my $mc = spawn_memcached({$binary ? (binary => $binary) : ()}, @options);
    wait_for { $mc->alive or die $mc->stderr; $mc->try_client } 20 or die;
    my $c = $mc->client;
    is $c->ask($let_in =~ s/\r\n\z//r), 'STORED', 'let in' if $options[0] && $options[0] eq '-Y';
    for my $event (@events) {
        $c->send("${event}mn\r\n");
        $c->read_to(qr/\AMN\r\n/, 10);
    }
    my %all = map { $_ => [text_rows($c, $_)] } '', qw(settings items slabs sizes);
    $binary ? $mc->kill_hard : $mc->stop;    # 1.6.18 takes a second to stop
    return %all;
}

for my $set (@sets) {
    my $name = "@$set" || 'no option';
    my %ours   = rows_after(undef,  @$set);
    my %theirs = rows_after($stock, @$set);
    same_rows("$name: '$_'", $ours{$_}, $theirs{$_}) for sort keys %ours;
    for my $sub ('', 'settings') {
        my %our   = map { @$_ } @{$ours{$sub}};
        my %their = map { @$_ } @{$theirs{$sub}};
        my @other = grep { $_ !~ $own && $our{$_} ne ($their{$_} // $our{$_})
                && !$known{"$set->[0] $_"} } sort keys %our;
        is join(', ', map { "$_ $our{$_} ($their{$_})" } @other), '',
            "$name: figures of '$sub'";
    }
}
done_testing;
