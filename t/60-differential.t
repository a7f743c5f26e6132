#!/usr/bin/perl
# The same bytes to Debian's memcached and to ours: the same bytes back. The
# sessions that are written down, in t/differential.
#
# What is known to differ is in the tables of 60-differences*.t.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Differential qw(compare_steps read_sessions servers stock);
use Memcached;

stock();
for my $options ([], ['-t', 1, '-R', 1], ['-C', '-F']) {
    my $servers = servers(@$options);
    for my $file (sort glob "$FindBin::Bin/differential/*.txt") {
        next if $file =~ m{/options[^/]*\z}; # of 60-options*.t
        my ($name) = $file =~ m{([^/]+)\z};
        my $n = 0;
        for my $steps (read_sessions($file)) {
            my ($ours, $theirs, @sent) = compare_steps($steps, $servers);
            Client::same_bytes($ours, $theirs, "$name, session " . ++$n . ", options '@$options'");
            diag "  sent: $_" for @sent;
        }
    }
}
done_testing;
