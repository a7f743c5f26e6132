#!/usr/bin/perl
# The threads of the daemon have names, by which top and debuggers show them.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

plan skip_all => 'no /proc' if !-d "/proc/$$/task";

# Names and how many have them.
sub names
{
    my ($mc) = @_;
    my %count;
    for my $file (glob '/proc/' . $mc->pid . '/task/*/comm') {
        open my $fh, '<', $file or next;    # it may have ended
        chomp(my $name = readline $fh);
        $count{$name}++ if $name =~ /\Amc-/; # a sanitizer may have one more
    }
    return \%count;
}

my %rep  = has_replication() ? ('mc-replication' => 1) : ();
my %each = (
    ''                 => {'mc-slabmaint' => 1, 'mc-itemcrawler' => 1, 'mc-worker' => 3},
    'no_slab_reassign' => {'mc-itemcrawler' => 1, 'mc-worker' => 3},
    'no_lru_crawler'   => {'mc-slabmaint' => 1, 'mc-worker' => 3},
);
for my $option (sort keys %each) {
    my $mc   = start_memcached('-t', 3, $option ne '' ? ('-o', $option) : ());
    my %want = (%{$each{$option}}, %rep);
    wait_for { my $n = names($mc); join(' ', map { "$_ $n->{$_}" } sort keys %$n)
        eq join ' ', map { "$_ $want{$_}" } sort keys %want } 5;
    is_deeply names($mc), \%want, "-o $option";
}
done_testing;
