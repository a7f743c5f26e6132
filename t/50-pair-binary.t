#!/usr/bin/perl
# A pair: every change of the binary protocol made on one side is the other's,
# both ways.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Memcached;

plan skip_all => "built without replication" if !has_replication();

my @mc = start_pair();
my @b  = map { Binary->new($_->client) } @mc;
my $x  = set_extras(7, 0);
my $no = 0xffffffff;

# What a side has of a key, with its cas.
sub has
{
    my ($side, $key) = @_;
    my ($r) = $b[$side]->replies(packet('get', key => $key));
    return $r->{code} ? 'none' : join ' ', unpack('N', $r->{extras}),
        $r->{cas}, Client::shown($r->{value}, 300);
}

sub cas_of { return ($b[$_[0]]->replies(packet('get', key => $_[1])))[0]{cas} }

# One change on side $from is answered by $answer; then both have the same.
sub change
{
    my ($from, $answer, $verb, %opt) = @_;
    my $got  = $b[$from]->ask(packet($verb, %opt));
    my $name = "$verb, " . Client::shown($opt{key} // '', 20) . ", from $from";
    is $got, $answer, $name;
    my $want = has($from, $opt{key});
    ok((wait_for { has(1 - $from, $opt{key}) eq $want } 5), "$name: is there")
        or diag "$want, but there ", has(1 - $from, $opt{key});
    return $want;
}

for my $from (0, 1) {
    for my $q ('', 'q') {
        my $k  = "k$from$q";
        my $ok = sub { $q ? '' : "$_[0] 0000:cas" };
        my @v  = (key => $k, extras => $x);
        change($from, $ok->('set'), "set$q", @v, value => 'one');
        change($from, $ok->('replace'), "replace$q", @v, value => 'two');
        change($from, $ok->('append'), "append$q", key => $k, value => '+');
        change($from, $ok->('prepend'), "prepend$q", key => $k, value => '-');
        change($from, $ok->('add'), "add$q", @v, key => "a$k", value => 'new');
        change($from, $ok->('set'), "set$q", @v, value => 'cas',
            cas => cas_of($from, $k));
        change($from, $ok->('append'), "append$q", key => $k, value => '!',
            cas => cas_of($from, $k));
        for my $verb (qw(incr decr)) {
            my @n = (key => "$verb$k");
            my $number = sub { $q ? '' : qq($verb 0000:cas "$_[0]") };
            my $zeros  = '\x00' x 7;
            change($from, $number->($zeros . '\n'), "$verb$q", @n,
                extras => arith_extras(1, 10, 0));
            change($from, $number->($zeros . ($verb eq 'incr' ? '\x0c' : '\x08')),
                "$verb$q", @n, extras => arith_extras(2, 0, $no));
        }
        change($from, $q ? '' : 'delete 0000', "delete$q", key => $k,
            cas => cas_of($from, $k));
    }
    # Expiries: one second ahead of the epoch is long ago.
    for my $verb (qw(touch gat gatq gatk gatkq)) {
        my $k = "t$from$verb";
        change($from, '', 'setq', key => $k, extras => $x, value => 'v');
        $b[$from]->ask(packet($verb, key => $k, extras => touch_extras(2**30)));
        ok((wait_for { has(1 - $from, $k) eq 'none' } 5), "$verb into the past");
        change($from, '', 'setq', key => $k, extras => set_extras(7, 100));
        $b[$from]->ask(packet($verb, key => $k, extras => touch_extras(0)));
    }
    # Keys and values of any bytes and sizes.
    my $odd = join '', map { chr } 0 .. 31, 127 .. 255;
    change($from, 'set 0000:cas', 'set', key => $odd, extras => $x, value => $odd);
    for my $size (0, 2049, 1_000_000) {
        change($from, 'set 0000:cas', 'set', key => "big$from", extras => $x,
            value => "\r\n$from" x ($size / 3));
    }
    # One too large takes what was there, on both sides.
    change($from, 'set 0003 "Too large."', 'set', key => "big$from",
        extras => $x, value => 'x' x 2**21);
    for my $verb (qw(flush flushq)) {
        change($from, 'set 0000:cas', 'set', key => 'f', extras => $x);
        is $b[$from]->ask(packet($verb)), $verb eq 'flush' ? 'flush 0000' : '',
            $verb;
        ok((wait_for { has(1 - $from, 'f') eq 'none' } 5), 'is there');
        change($from, 'set 0000:cas', 'set', key => 'f', extras => $x);
    }
}
done_testing;
