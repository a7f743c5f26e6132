#!/usr/bin/perl
# The binary protocol: cas ids, arithmetic, expiries, and what text sees of it.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Memcached;

my $mc = start_memcached();
my $c  = $mc->client;
my $b  = Binary->new($mc->client);
my $x  = set_extras();
my $none = 0xffffffff;

sub cas_of { return ($b->replies(packet('get', key => $_[0])))[0]{cas} }

# --- cas ---------------------------------------------------------------------

my $exists = '0002 "Data exists for key."';
for my $verb (qw(set add replace)) {
    is $b->ask(packet($verb, key => 'x', extras => $x, cas => 9)),
        "$verb 0001 \"Not found\"", "$verb with a cas, absent";
    $b->ask(packet('set', key => 'k', extras => $x, value => '1'));
    my $cas = cas_of('k');
    is $b->ask(packet("${verb}q", key => 'k', extras => $x, cas => $cas + 1)),
        "${verb}q $exists", "$verb with another";
    my ($r) = $b->replies(
        packet($verb, key => 'k', extras => $x, value => '2', cas => $cas));
    is $r->{code}, 0, "$verb with its cas";
    is $r->{cas}, cas_of('k'), 'tells the new one';
    isnt $r->{cas}, $cas, 'which is new';
}
for my $verb (qw(append prepend)) {
    my $cas = cas_of('k');
    is $b->ask(packet($verb, key => 'k', value => '3', cas => $cas + 1)),
        "$verb $exists", "$verb with another cas";
    is $b->ask(packet($verb, key => 'k', value => '3', cas => $cas)),
        "$verb 0000:cas", "$verb with its own";
}
is $b->ask(packet('delete', key => 'k', cas => 9)), "delete $exists", 'delete';
is $b->ask(packet('incr', key => 'k', extras => arith_extras(1, 0, 0),
    cas => 9)), "incr $exists", 'incr';
is $c->get('k'), '323', 'nothing of that changed it';
is $b->ask(packet('deleteq', key => 'k', cas => cas_of('k'))), '', 'deleteq';

# --- arithmetic --------------------------------------------------------------

sub number
{
    my ($verb, $key, @extras) = @_;
    my ($r) = $b->replies(packet($verb, key => $key,
        extras => arith_extras(@extras)));
    return $r->{code} ? $r->{code} : unpack 'Q>', $r->{value};
}

is number('incr', 'n', 5, 10, $none), 1, 'incr, absent, not to be created';
is number('incr', 'n', 5, 10, 0),     10, 'created';
is_deeply [($c->gets('n'))[0, 1]], ['10', 0], 'as text has it';
is number('incr', 'n', 5, 10, 0),     15, 'incr';
is number('decr', 'n', 20, 10, $none), 0, 'decr stops at 0';
is $c->get('n'), '0 ', 'and pads';
is number('incr', 'n', ~0, 10, 0), ~0, 'incr, to the largest';
is number('incr', 'n', 2,  10, 0), 1,  'and around';
is $b->ask(packet('incrq', key => 'n', extras => arith_extras(1, 0, 0))), '',
    'incrq';
is $b->ask(packet('decrq', key => 'm', extras => arith_extras(1, 0, $none))),
    'decrq 0001 "Not found"', 'decrq, absent';
$c->set('text', 'abc');
is number('decr', 'text', 1, 1, 0), 6, 'not a number';

# --- expiries ----------------------------------------------------------------

my @hit = ('get 0000:cas flags 0', 'get 0001 "Not found"');
my %expiry = ($none => 0, 2**31 => 0, 1_000_000_000 => 1, 2_592_000 => 0,
    2_592_001 => 1);
for my $at (sort keys %expiry) {
    is $b->ask(packet('setq', key => 'e', extras => set_extras(0, $at)),
        packet('get', key => 'e')), $hit[$expiry{$at}], "expiry $at";
}
done_testing;
