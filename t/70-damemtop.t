#!/usr/bin/perl
# damemtop, which Debian ships with memcached: a top of several daemons, on a
# terminal.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Clients;
use Memcached;

my $tool = '/usr/share/memcached/scripts/damemtop';
plan skip_all => "$tool (memcached) is not installed" if !-r $tool;
plan skip_all => 'it needs libanyevent-perl, libyaml-perl, libterm-readkey-perl'
    if !runs($^X, '-MAnyEvent', '-MYAML', '-MTerm::ReadKey', '-e', '1');
plan skip_all => 'script (bsdutils) makes its terminal, and is missing'
    if !runs(qw(script -V));

my @mc = map { start_memcached() } 1, 2;
my ($c) = map { $_->client } @mc;
is $c->set($_, 'x' x 30), 'STORED' for 1 .. 3;
my %items = map { @$_ } $mc[0]->stats('items');
my ($class) = map { /\Aitems:(\d+):number\z/ ? $1 : () } keys %items;

my @columns = ('hostname', 'all_version', 'all_curr_items', 'all_cmd_set',
    'hit_rate', 'evictions', "all_$class:used_chunks", "all_$class:total_pages",
    "$class:get_hits", 'get_hits', 'bytes_written', 'all_limit_maxbytes');
my $home = scratch();
mkdir "$home/.damemtop" or die "$home: $!";
scratch_file('.damemtop/damemtop.yaml', join "\n", 'delay: 1', 'mode: t',
    'top_mode:', '    sort_column: "hostname"', '    sort_order: "asc"',
    '    columns:', map({ qq(        - "$_") } @columns), 'servers:',
    map({ '    - 127.0.0.1:' . $_->port } @mc), '');

# What is on the screen, a picture each time.
sub screens
{
    open my $fh, '<', "$home/screen" or return;
    local $/;
    return split /\e\[H\e\[2J/, readline($fh) // '';
}

# The row of a daemon on the last screen but one, which is complete.
sub row
{
    my ($mc) = @_;
    my @all = screens();
    my $port = $mc->port;
    my ($row) = ($all[-2] // '') =~ /^(127\.0\.0\.1:$port .*?)\s*$/m;
    return if !$row;
    my %row;
    @row{@columns} = split ' ', $row;
    return \%row;
}

local $ENV{HOME} = $home;
local $ENV{TERM} = 'xterm';
local $SIG{PIPE} = 'IGNORE';
my $pid = open my $keys, '|-', "script -qfc 'stty rows 40 cols 250; exec $^X $tool' "
    . "$home/screen >/dev/null" or die "script: $!";
$keys->autoflush(1);
ok((wait_for { row($mc[0]) && row($mc[1]) } 20), 'a row for each');
my %want = (all_version => '1.6.45', all_cmd_set => 3, all_curr_items => 3,
    evictions => 0, all_limit_maxbytes => '67,108,864', "all_$class:used_chunks" => 3,
    "all_$class:total_pages" => 1);
is row($mc[0])->{$_}, $want{$_}, $_ for sort keys %want;
is row($mc[1])->{all_curr_items}, 0, 'of another daemon';
ok((wait_for {
    $c->get($_) for 1, 2, 3, 'none';
    my $row = row($mc[0]);
    $row->{get_hits} ne '0' && $row->{get_hits} eq $row->{"$class:get_hits"}
} 20), 'gets are seen as they come, by class too');
# It may look in the middle of four.
like row($mc[0])->{hit_rate}, qr/\A7[3-7]\./, 'hit_rate';
cmp_ok row($mc[0])->{bytes_written} =~ s/,//gr, '>', 1000, 'bytes_written';
# It looks for a key now and then, and may miss one.
my $next  = 0;
my $ended = wait_for {
    if (time >= $next) {
        print $keys 'q';
        $next = time + 1;
    }
    open my $fh, '<', "/proc/$pid/stat" or return 1;
    readline($fh) =~ /\) Z /;
} 20;
kill 'TERM', $pid if !$ended;
close $keys;
is $?, 0, 'it ends';
like +(screens())[-1], qr/^TOTAL:.*^AVERAGE:/ms, 'totals';
done_testing;
