#!/usr/bin/perl
# What is wrong on the command line is said, with memcached's text and code.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $half = 'Cannot set item size limit higher than 1/2 of memory max.';
my @wrong = (
    ['-p 65536',        64, 'ERROR: Invalid port number 65536.'],
    ['-c 0',            1,  'Maximum connections must be greater than 0'],
    ['-c x',            1,  'Maximum connections must be greater than 0'],
    ['-t 0',            1,  'Number of threads must be greater than 0'],
    ['-R 0',            1,
        'Number of requests per event must be greater than 0'],
    ['-f 1',            1,  'Factor must be greater than 1'],
    ['-n 0',            1,  'Chunk size must be greater than 0'],
    ['--thr=0',         1,  'Number of threads must be greater than 0'],
    ['-B foo', 64, "Invalid value for binding protocol: foo\n"
            . ' -- should be one of auto, binary, or ascii'],
    ['-I 1023',         64, 'Item max size cannot be less than 1024 bytes.'],
    ['-I 1g',           64, 'Item max size cannot be less than 1024 bytes.'],
    ['-I 33m',          64, $half],
    ['-m 1',            64, $half],
    ['-m x',            64, $half],
    ['-m 4000 -I 1025m', 64,
        'Cannot set item size limit higher than a gigabyte.'],
    ['-I 1k', 64, 'slab_chunk_max (bytes: 524288) cannot be larger than -I '
            . '(item_size_max 1024)'],
    ['-I 600k', 64, '-I (item_size_max: 614400) must be evenly divisible by '
            . 'slab_chunk_max (bytes: 524288)'],
    ['-I 600k -o slab_chunk_max=300', 64, 'slab_chunk_max (bytes: 307200) '
            . 'must divide evenly into 1048576 (slab_page_size)'],
    ['-o foo=1',        1, 'Illegal suboption "foo=1"'],
    ['-o modern,,modern', 1, 'Illegal suboption ""'],
    ['-o hashpower',    1, 'Missing numeric argument for hashpower'],
    ['-o hashpower=11', 1,
        'Initial hashtable multiplier of 11 is too low'],
    ['-o idle_timeout', 1, 'Missing numeric argument for idle_timeout'],
    ['-o hash_algorithm=md5', 1,
        'Unknown hash_algorithm option (jenkins, murmur3, xxh3)'],
    ['-o hot_lru_pct=80', 1, 'hot_lru_pct must be > 1 and < 80'],
    ['-o hot_lru_pct=50,warm_lru_pct=31', 64,
        'hot_lru_pct + warm_lru_pct cannot be more than 80% combined'],
    ['-o temporary_ttl=5,no_lru_maintainer', 64,
        'temporary_ttl requires lru_maintainer to be enabled'],
    ['-o slab_sizes=100-100', 64, 'slab size 100 cannot be lower than or '
            . 'equal to a previous class size'],
    ['-o slab_sizes',   1, 'Missing slab_sizes argument'],
    ['-o slab_chunk_max=1025', 1,
        'slab_chunk_max must be specified in kilobytes.'],
    ['-o lru_crawler_tocrawl=x', 1,
        'lru_crawler_tocrawl takes a numeric 32bit value'],
);

for my $row (@wrong) {
    my ($args, $code, $text) = @$row;
    my ($exit, $out, $err) = run_binary(split / /, $args);
    is "$exit $out$err", "$code $text\n", $args;
}

my ($exit, $out, $err) = run_binary('-D', '');
is "$exit $err", "1 No delimiter specified\n", 'empty delimiter';
($exit, $out, $err) = run_binary('-z', '-V');
like "$exit $out$err",
    qr/\A1 \S+: invalid option -- 'z'\nIllegal argument "\?"\n\z/, '-z';
($exit, $out, $err) = run_binary('--port', ' 5', 'operand', '-vAh');
like $out, qr/^-p, --port=<num> .* 5\)$/m, 'spaces and operands are skipped';
is "$exit$err", '0', 'help is no error';
if (has_replication()) {
    for my $args (['-X'], ['-X', '-v'], ['-X', '0'], ['-X', '1:x']) {
        ($exit, $out, $err) = run_binary(@$args);
        is $exit, 64, "@$args is refused";
        like $err, qr/^Dumping is disabled by --disable-dumping alone/m,
            'and the way out is named';
    }
    for my $bad ('4095', '65g', '12x', '1mm') {
        ($exit, $out, $err) = run_binary('-o', "rep_log=$bad");
        is $exit, 1, "rep_log=$bad is refused";
        like $err, qr/rep_log/, 'by name';
    }
} else {
    is((run_binary('-X', '-V'))[0], 0, '-X disables dumping');
}
done_testing;
