#!/usr/bin/perl
# Command lines that are refused, beside Debian's memcached: the same code, the
# same words. t/differential/options.txt has them.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $stock = $ENV{STOCK} // '/usr/bin/memcached';
plan skip_all => "no memcached at $stock to compare with" if !-x $stock;

my @user = $> == 0 ? ('-u', 'root') : ();

# Code and all that is said, without the name of the program.
sub said
{
    my ($binary, @args) = @_;
    local $ENV{MEMCACHED} = $binary;
    my ($exit, $out, $err) = run_binary(@user, @args);
    my $text = "$exit $out$err";
    $text =~ s/\Q$binary\E/memcached/g;
    $text =~ s/^repcached .*\n//mg;    # of -V
    $text =~ s/1\.6\.\d+/1.6.x/g;
    return $text;
}

my $file = ($ENV{srcdir} // "$FindBin::Bin/..") . '/t/differential/options.txt';
open my $fh, '<', $file or die "$file: $!";
my $rows = 0;
while (my $line = readline $fh) {
    chomp $line;
    next if $line =~ /^#/;
    my ($args, $newer) = split / # /, $line, 2;
    my @args   = split / /, $args;
    my $expect = defined $newer ? "$newer\n" =~ s/\\n/\n/gr : said($stock, @args);
    is said(binary(), @args), $expect, $args;
    $rows++;
}
cmp_ok $rows, '>', 100, 'the table was read';
done_testing;
