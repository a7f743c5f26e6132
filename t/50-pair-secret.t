#!/usr/bin/perl
# A secret: who has the same is a peer, and nobody else.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;

plan skip_all => "built without replication" if !has_replication();

sub secret { return 'rep_secret_file=' . scratch_file(@_) }

# A newline at the end does not count.
my $key   = '0123456789abcdef';
my @same  = map { secret("same$_", $key . "\n" x $_) } 0, 1;
my $other = secret('other', '0123456789abcdeF');

sub has_error
{
    my ($mc, $re, $name) = @_;
    my $said;
    my $ok = wait_for { ($said = $mc->stats('replication')->{last_error}) =~ $re } 10;
    ok $ok, $name or diag "it says: $said";
    return;
}

# Those that must not link, with what each says of the other. The first dials.
my $differs = qr/\Awrong proof: the peer's rep_secret_file differs\z/;
my $lacks   = qr/\Athe peer has no rep_secret_file\z/;
for my $row (
    ['others', $same[0], $other, qr/: does its rep_secret_file differ\?\z/, $differs],
    ['one only', $same[0], '', $lacks, qr/a rep_secret_file, this node has none\z/],
    ['the other only', '', $same[0], qr/: has it a rep_secret_file\?\z/, $lacks],
    )
{
    my ($name, $one, $two, @says) = @$row;
    my ($a, $b) = map { ['-o', join ',', 'rep_timeout=1', $_ || ()] } $one, $two;
    my @mc = start_pair(dials => 'a', nowait => 1, a => $a, b => $b);
    has_error($mc[0], $says[0], "$name: the dialler knows why");
    has_error($mc[1], $says[1], 'and the other does');
    $_->client->set("key$_", 'value') for @mc;
    ok none_linked(@mc), 'not linked';
    is $mc[$_]->client->get("key$mc[1 - $_]"), undef, 'nothing gets through' for 0, 1;
    $_->stop for @mc;
}

# Both dial, and none of the two waits for the other for ever.
my @apart = start_pair(
    nowait => 1,
    a      => ['-o', "$same[0],rep_timeout=1"],
    b      => ['-o', 'rep_timeout=1']
);
ok none_linked(@apart), 'both serve alone';
$_->stop for @apart;

# A file that is no secret stops the start.
for my $row (
    [secret('open', $key, 0644), qr/accessible to its owner only, its mode is 644/],
    [secret('group', $key, 0640), qr/accessible to its owner only, its mode is 640/],
    [secret('short', substr($key, 1) . "\n"), qr/at least 16 bytes, got 15/],
    ['rep_secret_file=' . scratch() . '/none', qr/none: No such file or directory/],
    )
{
    my ($option, $why) = @$row;
    my ($exit, undef, $err) =
        run_binary($> == 0 ? ('-u', 'root') : (), '-l', '127.0.0.1', '-p', -1, '-o',
        $option);
    is $exit, 1, 'no start';
    like $err, qr/\Arep_secret_file [^\n]*$why[^\n]*\n\z/, 'and the reason';
}

# The same secret.
my ($one, $two, $relay) = start_pair(
    dials => 'a',
    relay => 1,
    a     => ['-o', "$same[0],rep_timeout=1"],
    b     => ['-o', "$same[1],rep_timeout=1"]
);
my @c = ($one->client, $two->client);
for my $round ('at first', 'again') {
    for my $from (0, 1) {
        my $large = "$round $from " x 90_000;
        is $c[$from]->set("small$from", $round), 'STORED';
        is $c[$from]->set("large$from", $large), 'STORED', length($large) . ' bytes';
        have_ok(\@c, "small$from", $round);
        have_ok(\@c, "large$from", $large);
    }
    $relay->reset;
    $c[0]->set("while$_", $round) for 1 .. 50;
    have_ok(\@c, "while$_", $round, 'written while the link was gone') for 1, 50;
}
done_testing;
