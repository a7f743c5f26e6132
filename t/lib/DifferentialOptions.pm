package DifferentialOptions;

# Command lines that end at once, beside Debian's memcached: the same code, the
# same words. A file in t/differential holds them, one a line; behind "#" what
# 1.6.45 does otherwise: the code and the text.

use strict;
use warnings;

use Exporter qw(import);

use Memcached;
use Test::More;

our @EXPORT_OK = qw(compare_options);

my @user = $> == 0 ? ('-u', 'root') : ();

# Code and all that is said, without the name of the program.
sub _said
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

# Each line of the file is a test.
sub compare_options
{
    my ($file, $stock) = @_;
    open my $fh, '<', $file or die "$file: $!";
    my $rows = 0;
    while (my $line = readline $fh) {
        chomp $line;
        next if $line =~ /^#/;
        my ($args, $newer) = split / # /, $line, 2;
        my @args   = split / /, $args, -1;
        my $expect = defined $newer ? "$newer\n" =~ s/\\n/\n/gr : _said($stock, @args);
        is _said(binary(), @args), $expect, $args;
        $rows++;
    }
    cmp_ok $rows, '>', 100, 'the table was read';
    return;
}

1;
