#!/usr/bin/perl
# -o rep_tls: two nodes with certificates of one CA link, and nobody else.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Certs;
use Memcached;
use Pair;

plan skip_all => 'built without replication' if !has_replication();

my $ca    = Certs->new;
my $other = Certs->new;
my @a     = ('-m', 128, '-o', $ca->options('a') . ',rep_tls');
my @b     = ('-m', 128, '-o', $ca->options('b') . ',rep_tls');

# --- what goes through ---
for my $dials ('a', 'b', 'ab') {
    my @mc = start_pair(dials => $dials, a => \@a, b => \@b);
    my $clients = [map { $_->client } @mc];
    my $big     = join ' ', 1 .. 150_000;
    is $clients->[0]->set('big', $big), 'STORED', "$dials dials: a large value";
    is_deeply [requests($clients, map { my $n = $_;
                [map { "set $n$_ 0 0 5\r\nvalue\r\n" } 1 .. 3000] } qw(l r))],
        [], 'many small ones both ways';
    agree_ok(\@mc, ['big', map { ("l$_", "r$_") } 1 .. 3000], 20, 'they agree');
    have_ok($clients, 'big', $big);
    is $mc[0]->stats('settings')->{rep_tls}, 'yes', 'as stats settings says';
    next if $dials ne 'ab';
    $mc[1]->kill_hard;
    is $clients->[0]->set('alone', 'x' x 900_000), 'STORED', 'a change alone';
    $mc[1]->restart;
    agree_ok(\@mc, ['alone', 'big', map { "l$_" } 1 .. 3000], 20, 'a copy');
    $mc[0]->signal('HUP');
    $mc[0]->client->set('later', 'x');
    agree_ok(\@mc, ['later'], 10, 'SIGHUP leaves the link alone');
}

# --- who is not linked with ---
sub apart
{
    my ($name, $one, $two, @says) = @_;
    my @pair = start_pair(dials => 'a', nowait => 1,
        map { $_ => ['-o', 'rep_timeout=1,rep_serve_early', @{{a => $one, b => $two}->{$_}}] }
            qw(a b));
    for my $i (0, 1) {
        my $said;
        my $ok = wait_for {
            ($said = $pair[$i]->stats('replication')->{last_error}) =~ $says[$i]
        } 10;
        ok $ok, "$name: " . ('the dialler', 'the other')[$i] . ' says why'
            or diag $said;
    }
    $pair[0]->client->set('k', 'x');
    ok none_linked(@pair), 'not linked';
    is $pair[1]->client->get('k'), undef, 'nothing gets through';
    $_->stop for @pair;
    return;
}
my @stranger = ('-o', sprintf 'ssl_chain_cert=%s,ssl_key=%s,ssl_ca_cert=%s,rep_tls',
    $other->issue('c'), $ca->file);
my @believer = ('-o', sprintf 'ssl_chain_cert=%s,ssl_key=%s,ssl_ca_cert=%s,rep_tls',
    $ca->issue('a'), $other->file);
apart('a stranger dials', \@stranger, \@b, qr/^TLS /, qr/^TLS handshake: .*verify/);
apart('a stranger is dialled', \@a, \@stranger, qr/^TLS handshake: .*verify/, qr/^TLS /);
apart('another CA', \@believer, \@b, qr/^TLS handshake: .*verify/, qr/^TLS /);
apart('one in clear dials', [], \@b, qr/closed|hello/,
    qr/^TLS handshake: /);
apart('one in clear is dialled', \@a, [],
    qr/^TLS handshake: /, qr/./);

done_testing;
