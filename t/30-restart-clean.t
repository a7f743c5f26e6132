#!/usr/bin/perl
# What does not fit together is told, and the start is a clean one: other settings, metadata
# that is none, that lacks lines or is of another time, a file cut short, a crash.
use strict;
use warnings;
use FindBin;
use File::Copy qw(copy);
use lib "$FindBin::Bin/lib";
use Memcached;
use Test::More;

my $file = scratch() . '/memory';

sub text
{
    open my $fh, '<', "$file.meta" or die "$!";
    local $/;
    return scalar readline $fh;
}

# A life with these options; gives what it said. It begins with one item, or not.
sub life
{
    my ($has, $name, @args) = @_;
    my $mc = start_memcached({unix => 1}, '-e', $file, '-v', @args);
    my $c  = $mc->client;
    is $c->get('k'), $has ? 'v' : undef, "$name: " . ($has ? 'kept' : 'clean');
    ok !-e "$file.meta", 'the metadata is used up';
    $c->set('k', 'v');
    $mc->signal('USR1');
    is $mc->wait_exit, 0, 'it ends in good order';
    return $mc->stderr;
}

my $clean = qr/\[restart\] failed to validate metadata, starting with a clean cache\n/;
life(0, 'first');
life(1, 'the same again');
life(1, 'the same factor', '-f', '1.250');

my @other = (
    ['-m', '65', 'maxbytes',            '67108864'],
    ['-f', '1.3', 'slab_config',        '1.25'],
    ['-n', '56', 'chunk_size',          '48'],
    ['-I', '2m', 'item_size_max',       '1048576'],
    ['-C', undef, 'use_cas',            'true'],
    ['-o', 'slab_chunk_max=256', 'slab_chunk_size_max', '524288'],
    ['-o', 'no_slab_reassign', 'slab_reassign', 'true'],
);
for my $row (@other) {
    my ($option, $value, $name, $old) = @$row;
    my $said = life(0, "other $name", $option, $value // ());
    my $lines = "[restart] restart incompatible due to setting for [$name] "
        . "[old value: $old]\n[restart] missing some metadata lines\n";
    ok index($said, $lines) >= 0, "names $name" or diag $said;
    like $said, $clean, 'and says what follows';
    life(0, 'back');
}

my @texts = (
    ['cut',         sub { substr $_[0], 0, 60 },              'missing some metadata lines'],
    ['other tag',   sub { $_[0] =~ s/main/else/r },           'tag not found: else:'],
    ['no text',     sub { '' },                               'Failed to read a tag'],
    ['binary',      sub { "\0\xff" x 3000 },                  'invalid metadata line:'],
    ['no key',      sub { $_[0] =~ s/Kpages/pages/r },        'invalid metadata line:'],
    ['no value',    sub { $_[0] =~ s/Kpages \d+/Kpages/r },   'invalid metadata line:'],
    ['odd value',   sub { $_[0] =~ s/Ktail \d+/Ktail -1/r },  'invalid metadata line:'],
    ['huge',        sub { $_[0] =~ s/Kpages \d+/Kpages 18446744073709551615/r }, 'not the one'],
    ['the future',  sub { $_[0] =~ s/(Kstop_time )/${1}9/r }, 'setting for [stop_time]'],
    ['other stamp', sub { $_[0] =~ s/(Kstamp 0x).*/${1}7/r }, 'not the one'],
);
for my $row (@texts) {
    my ($name, $change, $words) = @$row;
    scratch_file('memory.meta', $change->(text()));
    my $said = life(0, $name);
    ok index($said, $words) >= 0, "says: $words" or diag $said;
    like $said, $clean, 'and what follows';
}
scratch_file('memory.meta', text() . "Kspeed 3\n");
like life(1, 'a key too many'), qr/\[restart\] unknown\/unhandled key: speed\n/, 'is named';

# Metadata of an earlier life, beside what a later one made of the file.
copy "$file.meta", "$file.old";
copy $file,        "$file.was";
life(1, 'a life');
copy "$file.old", "$file.meta";
like life(0, 'an old meta'), qr/not the one.*\n$clean/, 'is refused';
copy "$file.old", "$file.meta";
copy "$file.was", $file;
life(1, 'both of one time');

# A file cut short, or longer; one byte other behind the pages.
for my $size (-1, +1) {
    truncate $file, (-s $file) + $size or die "$!";
    like life(0, "size $size"), $clean, 'is refused';
}
open my $fh, '+<', $file or die "$!";
seek($fh, -3, 2) && print {$fh} 'x';
close $fh;
like life(0, 'another tail'), $clean, 'is refused';
done_testing;
