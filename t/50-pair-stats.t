#!/usr/bin/perl
# What a pair says of itself.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => "built without replication" if !has_replication();

my @mc = start_pair();
for my $mc (@mc) {
    my $stats = $mc->stats;
    is $stats->{replication}, 'MASTER', 'the row of repcached';
    like $stats->{repcached_version}, qr/\A3\./, 'and its version';
    is $stats->{repcached_qi_free}, 8192, 'and its queue';
    my $full = $mc->stats('replication');
    is $full->{link_status}, 'linked',     'link_status';
    is $full->{dialect},     'repcached3', 'dialect';
    ok((wait_for { $mc->stats('replication')->{in_sync} } 5),
        'in_sync');
}
done_testing;
