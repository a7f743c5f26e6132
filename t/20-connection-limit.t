#!/usr/bin/perl
# -c: refusing at the limit, or letting clients wait.

use strict;
use warnings;

use FindBin;
use IO::Select;
use Test::More;

use lib "$FindBin::Bin/lib";
use Memcached;

my $full = 'ERROR Too many open connections';

my $fast = start_memcached('-c', 60, '-t', 2);
my (@open, $refused);
for (1 .. 80) {
    my $c = $fast->client;
    my $reply = $c->ask('version') // '(closed)';
    if ($reply =~ /\AVERSION /) {
        push @open, $c;
    } else {
        is $reply, $full, 'beyond the limit' if !$refused++;
        $c->closes('and closed') if $refused == 1;
    }
}
cmp_ok scalar @open, '>', 15, 'some clients fit';
cmp_ok scalar @open, '<', 60, 'fewer than -c, as the daemon needs some too';
is $refused + @open, 80, 'each was either served or refused';
is $open[0]->set('a', 'b'), 'STORED', 'those inside are served';
$open[0]->send("stats\r\n");
my $text = $open[0]->read_to(qr/\AEND/);
like $text, qr/^STAT rejected_connections $refused\r$/m, 'and it is counted';
like $text, qr/^STAT max_connections 60\r$/m;
my $gone = pop @open;
$gone->close;
ok((wait_for {
    my $c = $fast->client;
    (($c->ask('version') // '') =~ /\AVERSION /)
} 10), 'a place that is left is free again');

my $wait = start_memcached('-c', 60, '-t', 2, '-o', 'no_maxconns_fast');
my @all = map { $wait->client(nowait => 1) } 1 .. 80;

# Those who have an answer by now; asks for those whose connection is made.
sub answered
{
    my $sel = IO::Select->new(map { $_->sock } grep { !$_->{got} } @all);
    my %made  = map { $_ => 1 } $sel->can_write(0);
    my %ready = map { $_ => 1 } $sel->can_read(0);
    for my $c (@all) {
        $c->{asked} ||= $c->send("version\r\n") if $made{$c->sock};
        $c->{got} = $c->line if $c->{asked} && $ready{$c->sock};
    }
    return grep { $_->{got} } @all;
}
wait_for { answered() > 15 } 10;
cmp_ok scalar(answered()), '<', 60, 'not all are served at once';
ok(
    (   wait_for {
            my @open = grep { !$_->{closed} } answered();
            $_->{closed} = 1, $_->close for @open ? $open[0] : ();
            answered() == @all
        }
        30
    ),
    'each who waited is served once others leave'
);
is scalar(grep { $_->{got} !~ /\AVERSION / } @all), 0, 'and properly';
$_->close for grep { !$_->{closed} } @all;
cmp_ok $wait->stats->{listen_disabled_num}, '>', 0, 'listen_disabled_num';
is $wait->stats->{accepting_conns}, 1, 'accepting again';
done_testing;
