#!/usr/bin/perl
# A secret is changed on a pair that runs: first both accept the new one, then both
# prove it, then the old one is forgotten. A link can be made at every moment.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;

plan skip_all => "built without replication" if !has_replication();

my ($old, $new, $other) = map { $_ x 16 . "\n" } qw(old new oth);
my @file = map { scratch_file("secret$_", $old) } 0, 1;
my @args = map { ['-v', '-o', "rep_secret_file=$_,rep_timeout=1"] } @file;
my ($one, $two, $relay) =
    start_pair(dials => 'a', relay => 1, a => $args[0], b => $args[1]);
my @mc = ($one, $two);
my @c  = map { $_->client } @mc;

sub reads { return scalar(() = $_[0]->stderr =~ /reload the secret|read again/g) }

# A node reads its file again.
sub write_secret
{
    my ($node, $text) = @_;
    my $before = reads($mc[$node]);
    open my $fh, '>', $file[$node] or die "$file[$node]: $!";
    print {$fh} $text;
    close $fh or die "$file[$node]: $!";
    $mc[$node]->signal('HUP');
    ok((wait_for { reads($mc[$node]) > $before } 5), "node $node has read its file");
    return;
}

# A link is made anew, and carries.
my $links = 0;
sub links_ok
{
    my ($name) = @_;
    $relay->reset;
    my $value = 'at ' . $links++;
    $c[0]->set('k', $value);
    have_ok(\@c, 'k', $value, $name);
    return;
}

links_ok('with the old one');
for my $step (
    [0, $old . $new], [1, $old . $new], # both accept the new one
    [1, $new . $old], [0, $new . $old], # both prove it
    [0, $new], [1, $new],               # the old one is forgotten
    )
{
    my ($node, $text) = @$step;
    write_secret($node, $text);
    links_ok('a link after it');
}
like $two->stderr, qr/read again \(secrets=2\).*read again \(secrets=1\)/s, 'said so';
is +(rows('full_copies_sent', @mc))[0], 1, 'nothing was copied again';

# What is no secret changes nothing.
write_secret(0, "short\n");
like $one->stderr, qr/Could not reload the secret on SIGHUP: rep_secret_file must hold at/,
    'a file that is refused';
links_ok('the one before it counts');

# Neither the old nor another one is accepted.
for my $wrong ($old, $other) {
    write_secret(0, $wrong);
    $relay->reset;
    ok(
        (wait_for { $two->stats('replication')->{last_error} =~ /\Awrong proof: / } 5),
        'refused'
    );
    ok none_linked(@mc), 'no link';
    write_secret(0, $new);
    ok((wait_for { all_linked(@mc) } 5), 'and with the right one again');
}
done_testing;
