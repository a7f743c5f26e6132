#!/usr/bin/perl
# `stats settings` shows the defaults in memcached's order, and what was given.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my @names = qw(
    maxbytes maxconns tcpport udpport inter verbosity oldest evictions
    domain_socket umask shutdown_command growth_factor chunk_size num_threads
    num_threads_per_udp stat_key_prefix detail_enabled reqs_per_event
    cas_enabled tcp_backlog binding_protocol auth_enabled_sasl
    auth_enabled_ascii item_size_max maxconns_fast hashpower_init
    slab_reassign slab_automove slab_automove_ratio slab_automove_window
    slab_chunk_max lru_crawler lru_crawler_sleep lru_crawler_tocrawl
    tail_repair_time flush_enabled dump_enabled hash_algorithm
    lru_maintainer_thread lru_segmented hot_lru_pct warm_lru_pct
    hot_max_factor warm_max_factor temp_lru temporary_ttl idle_timeout
    watcher_logbuf_size worker_logbuf_size
    read_buf_mem_limit track_sizes inline_ascii_response ssl_enabled
    ssl_chain_cert ssl_key ssl_verify_mode ssl_keyformat ssl_ciphers
    ssl_ca_cert ssl_wbuf_size ssl_session_cache ssl_kernel_tls
    ssl_min_version num_napi_ids memory_file client_flags_size
);

my $mc   = start_memcached();
my @rows = $mc->stats('settings');
is_deeply [grep { !/^(?:rep_|drop_privileges\z)/ } map { $_->[0] } @rows],
    \@names,
    'names and order';
is scalar(grep { /^rep_/ } map { $_->[0] } @rows[0 .. $#names]), 0,
    'those of replication come after them';
my %is     = map { @$_ } @rows;
my %expect = (
    maxbytes => 67108864, maxconns => 1024, tcpport => -1, verbosity => 0,
    oldest => 0, evictions => 'on', domain_socket => 'NULL', umask => 700,
    growth_factor => '1.25', stat_key_prefix => ':', detail_enabled => 'no',
    cas_enabled => 'yes', binding_protocol => 'auto-negotiate',
    item_size_max => 1048576, slab_chunk_max => 524288,
    hot_max_factor => '0.20', track_sizes => 'no',
);
is $is{$_}, $expect{$_}, "default $_" for sort keys %expect;

my $args = '-vv -a 0770 -A -m 100 -M -c 500 -f 1.5 -n 64 -D/ -t 2 -R 5 -C -b 7'
    . ' -B ascii -I 2m -F --disable-dumping -l 127.0.0.1 -l ::1 -l 127.0.0.1'
    . ' -o no_maxconns_fast,idle_timeout=9,slab_chunk_max=1024 -o track_sizes'
    . ' -o hashpower=20,hot_lru_pct=30,no_lru_crawler,lru_crawler_sleep=50'
    . ' -o warm_max_factor=3,no_hashexpand';
$mc = start_memcached({unix => 1}, split / /, $args);
my %given = (
    maxbytes => 104857600, maxconns => 500, inter => '127.0.0.1,::1',
    verbosity => 2, evictions => 'off', umask => 770,
    shutdown_command => 'yes', growth_factor => '1.50', chunk_size => 64,
    num_threads => 2, num_threads_per_udp => 1, stat_key_prefix => '/',
    detail_enabled => 'yes', reqs_per_event => 5, cas_enabled => 'no',
    tcp_backlog => 7, binding_protocol => 'ascii', item_size_max => 2097152,
    maxconns_fast => 'no', hashpower_init => 20, slab_chunk_max => 1048576,
    lru_crawler => 'no', lru_crawler_sleep => 50, flush_enabled => 'no',
    dump_enabled => 'no', hot_lru_pct => 30, idle_timeout => 9,
    track_sizes => 'yes',
);
my $settings = $mc->stats('settings');
is $settings->{$_}, $given{$_}, "given $_" for sort keys %given;
is $settings->{domain_socket}, $mc->{path}, 'given domain_socket';
my @said = $mc->stderr =~ /^-o (\S+) has no effect: .+\.$/mg;
is_deeply [sort @said], [qw(no_hashexpand warm_max_factor)],
    'what changes nothing is said once';

my $c = start_memcached()->client;
$c->says("verbosity 1\r\n", "OK\r\n");
$c->send("stats settings\r\n");
like $c->read_to(qr/\AEND\r\n/), qr/^STAT verbosity 1\r$/m, 'it is the present';

done_testing;
