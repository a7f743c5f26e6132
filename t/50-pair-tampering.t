#!/usr/bin/perl
# With a secret nobody on the way can change or repeat what a pair says.

use strict;
use warnings;

use FindBin;
use IO::Socket::INET;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;
use Pair;

plan skip_all => "built without replication" if !has_replication();

my @option = (
    '-o', 'rep_timeout=1,rep_secret_file=' . scratch_file('secret', '0123456789abcdef'));
my ($one, $two, $relay) =
    start_pair(dials => 'a', relay => 1, a => [@option], b => [@option]);
my @c = ($one->client, $two->client);

sub has_error
{
    my ($mc, $re, $name) = @_;
    my $said;
    my $ok = wait_for { ($said = $mc->stats('replication')->{last_error}) =~ $re } 10;
    ok $ok, $name or diag "it says: $said";
    return;
}

# The next link is recorded.
my $tape = scratch() . '/tape';
$relay->tape($tape);
$relay->reset;
for my $n (1 .. 50) {
    $c[0]->set("zero$n", 'of 0');
    $c[1]->set("one$n",  'of 1');
}
ok((wait_for { in_sync($one, $two) } 10), 'linked again');
have_ok(\@c, 'zero50', 'of 0');
have_ok(\@c, 'one50',  'of 1');
for my $n (0, 1) {
    ok -s "$tape.$n" > 1000, 'recorded';
}

# A byte that changes on the way, small changes and a large one.
for my $round (0 .. 5) {
    my $from  = $round % 2;
    my $value = "round $round" x ($round > 3 ? 100_000 : 1);
    my $links = $relay->links_made;
    $relay->garble;
    $c[$from]->set('key', $value);
    ok((wait_for { $relay->links_made > $links } 10), 'the link ends, another comes');
    have_ok(\@c, 'key', $value, "by which the value of $from arrives");
    ok((wait_for { in_sync($one, $two) } 10), 'in sync');
}
my $errors = join ', ', rows('last_error', $one, $two);
like $errors, qr/signature/, "they know why: $errors";

# What was recorded, from who says it, while the peer is there and when it has
# gone.
my ($dialler, $acceptor) = map {
    open my $fh, '<', "$tape.$_" or die "$tape.$_: $!";
    local $/;
    readline $fh
} 0, 1;
$c[0]->ask("delete $_") for 'zero50', 'one50';
have_ok(\@c, 'zero50', undef, 'deleted');
my $wrong = qr/\Awrong proof: the peer's rep_secret_file differs\z/;
for my $gone (0, 1) {
    $one->stop if $gone;
    ok((wait_for { $gone xor linked($two) } 10), $gone ? 'peer gone' : 'peer there');
    my $thief = Client->new(port => $two->rep_port);
    $thief->send($dialler);
    $thief->read_all;
    ok $thief->eof, 'what a dialler said is refused the second time';
    has_error($two, $wrong, 'for its proof');
    is $c[1]->get('zero50'), undef, 'nothing of it counts';
}
my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5)
    or die "$!";
my $mc = spawn_memcached({port => free_port()}, '-x', '127.0.0.1', '-X',
    free_port() . ':' . $listen->sockport, @option, '-o', 'rep_serve_early');
my $victim = $listen->accept;
syswrite $victim, $acceptor;
ok((wait_for { $mc->try_client } 10), 'it serves at once');
has_error($mc, $wrong, 'what an acceptor said is refused, too');
is $mc->client->get('one50'), undef, 'nothing of it counts';
done_testing;
