#!/usr/bin/perl
# -S: who proves what is let in, and nobody else is answered.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Binary;
use Memcached;
use Sasl;

my $mc   = sasl_memcached();
my $fail = '0020 "Auth failure."';
my $in   = 'sasl_auth 0000 "Authenticated"';

sub fresh { return Binary->new($mc->client) }

sub plain { return packet('sasl_auth', key => $_[2] // 'PLAIN', value => "\0$_[0]\0$_[1]") }

# --- before ---
for my $name (qw(noop quit stat get set flush verbosity), 0x55) {
    my %opt = $name =~ /get|set/ ? (key => 'k') : ();
    $opt{extras} = set_extras() if $name eq 'set';
    my $b = fresh();
    like told($b, packet($name, %opt)), qr/\Q$fail\E\z/, "$name: refused";
    ok $b->client->closed, 'and the connection ends';
}
my $b = fresh();
is told($b, packet('version')), 'version 0000 "1.6.45"', 'version';
like told($b, packet('sasl_list')), qr/^sasl_list 0000 "(?=.*\bPLAIN\b)(?=.*CRAM-MD5)/,
    'mechanisms';

# --- PLAIN ---
is told($b, plain('bob', 'wrong')), "sasl_auth $fail", 'a wrong password';
is told($b, plain('bob', 'secre')), "sasl_auth $fail", 'a short one';
is told($b, plain('eve', 'secret')), "sasl_auth $fail", 'nobody';
is told($b, plain('bob', 'secret', 'NOPE')), "sasl_auth $fail", 'no such mechanism';
is told($b, packet('sasl_step', key => 'PLAIN', value => "\0bob\0secret")),
    "sasl_step $fail", 'a step without a beginning';
is told($b, plain('bob', 'secret')), $in, 'the right one, on the same connection';
is told($b, packet('noop')), 'noop 0000', 'now it may';
is told($b, packet('set', key => 'k', extras => set_extras(), value => 'v')),
    'set 0000:cas', 'set';
is told($b, plain('bob', 'secret', 'plain')), $in, 'once more, in small letters';
is told($b, plain('bob', 'wrong')), "sasl_auth $fail", 'once more, and wrong';
like told($b, packet('noop')), qr/\Q$fail\E\z/, 'that is forgotten who it was';
ok $b->client->closed, 'and the end';

# --- CRAM-MD5: a challenge, and its answer ---
SKIP: {
    skip 'Digest::HMAC_MD5 is missing', 4 if !eval { require Digest::HMAC_MD5; 1 };
    for my $pass ('secret', 'wrong') {
        $b = fresh();
        my $said = told($b, packet('sasl_auth', key => 'CRAM-MD5'));
        like $said, qr/^sasl_auth 0021 "<.*>"$/, 'a challenge';
        my ($challenge) = $said =~ /"(.*)"/;
        my $proof = Digest::HMAC_MD5::hmac_md5_hex($challenge, $pass);
        my $want  = $pass eq 'secret' ? '0000 "Authenticated"' : $fail;
        is told($b, packet('sasl_step', key => 'CRAM-MD5', value => "bob $proof")),
            "sasl_step $want", "answered with '$pass'";
    }
}

# --- shapes ---
$b = fresh();
is told($b, packet('sasl_auth', key => 'x' x 33, value => 'abc')),
    'sasl_auth 0004 "Invalid arguments"', 'a long mechanism';
my $bytes = plain('bob', 'secret') . packet('noop');
$b->client->send($_) for split //, $bytes;
is told($b, ''), $in, 'byte by byte';
for my $bad (packet('sasl_auth', value => 'x'), packet('sasl_list', key => 'x'),
    packet('sasl_step', key => 'PLAIN', extras => 'abcd'))
{
    my $d = fresh();
    like told($d, $bad), qr/ 0004 /, 'misshapen';
    ok $d->client->closed, 'and the end';
}
$b = fresh();
like told($b, packet('sasl_auth', key => 'PLAIN', value => 'x' x 20_000)),
    qr/ 0082 "Out of memory"/, 'a value that is too large';
ok $b->client->closed, 'and the end';

$b = fresh();
told($b, plain('bob', 'secret'));
my %stats = binary_stats($b);
is $stats{auth_cmds} - $stats{auth_errors}, 4 + !!$INC{'Digest/HMAC_MD5.pm'},
    'those that were let in';
cmp_ok $stats{auth_errors}, '>=', 6, 'and those that were not';

done_testing;
