package StatsRows;

# Rows of stats, from whoever answers in whatever way, and whether two daemons
# have the same.
#
#   my @rows = text_rows($client, 'settings');   # [name, value], in order
#   same_rows('-Z settings', \@ours, \@theirs);  # two tests

use strict;
use warnings;

use Exporter qw(import);
use Test::More;

use Binary;

our @EXPORT = qw(binary_rows same_rows text_rows);

# Rows only 1.6.18 has, and rows only we have, each with its reason.
my %gone = (
    slab_reassign_evictions_nomem => '1.6.45 has no such row any more',
    map({ $_ => 'of a build with external storage' }
        qw(ext_item_size ext_item_age ext_low_ttl ext_recache_rate ext_wbuf_size
            ext_compact_under ext_drop_under ext_max_sleep ext_max_frag
            ext_drop_unread slab_automove_freeratio)),
);
my %new = (
    slab_reassign_busy_nomem       => 'new in 1.6.45',
    slab_reassign_last_busy_status => 'new in 1.6.45',
    client_flags_size              => 'new in 1.6.45',
    ssl_proto_errors               => 'new in 1.6.45',
    drop_privileges                => 'of a build with seccomp',
    replication                    => 'what repcached adds',
    repcached_version              => 'what repcached adds',
    repcached_qi_free              => 'what repcached adds',
);

# Asks in text.
sub text_rows
{
    my ($client, $sub) = @_;
    $client->send("stats $sub\r\n");
    return map { /\ASTAT (\S+) ?(.*?)\r\n\z/s ? [$1, $2] : () }
        $client->read_to(qr/\A(?:END|ERROR|CLIENT_ERROR.*)\r\n/) =~ /(.*\n)/g;
}

# Asks in the binary protocol.
sub binary_rows
{
    my ($binary, $sub) = @_;
    my @replies = $binary->replies(packet('stat', key => $sub));
    return map { [$_->{key}, $_->{value}] } grep { $_ && $_->{key} ne '' } @replies;
}

# The names, once; of classes, and of sizes, as if there were one.
sub _names
{
    my %seen;
    return grep { !$seen{$_}++ }
        map { $_->[0] =~ s/\A((?:items:)?)\d+(:|\z)/$1N$2/r } @_;
}

sub same_rows
{
    my ($name, $ours, $theirs) = @_;
    my @our   = _names(@$ours);
    my @their = _names(@$theirs);
    my %our   = map { $_ => 1 } @our;
    my %their = map { $_ => 1 } @their;
    my @extra   = grep { !$their{$_} && !$new{$_} && !/^rep_/ } @our;
    my @missing = grep { !$our{$_} && !$gone{$_} } @their;
    is "+@extra -@missing", '+ -', "$name: the rows of 1.6.18";
    return is_deeply [grep { $their{$_} } @our], [grep { $our{$_} } @their],
        "$name: in its order";
}

1;
