#!/usr/bin/perl
# Command lines that are refused, beside Debian's memcached: the same code, the
# same words. t/differential/options-values.txt has them.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Differential qw(stock);
use DifferentialOptions qw(compare_options);

compare_options("$FindBin::Bin/differential/options-values.txt", stock());
done_testing;
