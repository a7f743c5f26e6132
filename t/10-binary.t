#!/usr/bin/perl
# The binary protocol: every request, its quiet form, and what each answers.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Binary;
use Memcached;

my $mc = start_memcached();
my $b  = Binary->new($mc->client);
my $x  = set_extras(5, 0);
my $t  = touch_extras(100);

# Requests by name and key, the rest in the order of packet(); the answers.
my @talk = (
    [[['get', key => 'k']],                              'get 0001 "Not found"'],
    [[['getk', key => 'k']],                             'getk 0001 key k'],
    [[map { [$_, key => 'k'] } qw(getq getkq)],          ''],
    [[['set', key => 'k', extras => $x, value => 'one']], 'set 0000:cas'],
    [[['get', key => 'k']],                  'get 0000:cas flags 5 "one"'],
    [[['getk', key => 'k']],                 'getk 0000:cas flags 5 key k "one"'],
    [[['getq', key => 'k']],                 'getq 0000:cas flags 5 "one"'],
    [[['getkq', key => 'k']],                'getkq 0000:cas flags 5 key k "one"'],
    [[['add', key => 'k', extras => $x]],    'add 0002 "Data exists for key."'],
    [[['addq', key => 'k', extras => $x]],   'addq 0002 "Data exists for key."'],
    [[['add', key => 'a', extras => $x]],    'add 0000:cas'],
    [[['addq', key => 'aq', extras => $x]],  ''],
    [[['replace', key => 'r', extras => $x]], 'replace 0001 "Not found"'],
    [[['replaceq', key => 'r', extras => $x]], 'replaceq 0001 "Not found"'],
    [[['replace', key => 'a', extras => $x, value => 'b']], 'replace 0000:cas'],
    [[['replaceq', key => 'a', extras => $x, value => 'c']], ''],
    [[['append', key => 'a', value => 'd']],  'append 0000:cas'],
    [[['appendq', key => 'a', value => 'e']], ''],
    [[['prepend', key => 'a', value => 'b']], 'prepend 0000:cas'],
    [[['prependq', key => 'a', value => 'a']], ''],
    [[['get', key => 'a']],                   'get 0000:cas flags 5 "abcde"'],
    [[['append', key => 'x', value => 'd']],  'append 0005 "Not stored."'],
    [[['appendq', key => 'x', value => 'd']], 'appendq 0005 "Not stored."'],
    [[['prependq', key => 'x', value => 'd']], 'prependq 0005 "Not stored."'],
    [[['setq', key => 'q', extras => $x, value => 'q']], ''],
    [[['touch', key => 'q', extras => $t]],   'touch 0000:cas flags 5'],
    [[['touch', key => 'x', extras => $t]],   'touch 0001 "Not found"'],
    [[['gat', key => 'q', extras => $t]],     'gat 0000:cas flags 5 "q"'],
    [[['gatq', key => 'q', extras => $t]],    'gatq 0000:cas flags 5 "q"'],
    [[['gatk', key => 'q', extras => $t]],    'gatk 0000:cas flags 5 key q "q"'],
    [[['gatkq', key => 'q', extras => $t]],   'gatkq 0000:cas flags 5 key q "q"'],
    [[['gat', key => 'x', extras => $t]],     'gat 0001 "Not found"'],
    [[['gatk', key => 'x', extras => $t]],    'gatk 0001 key x'],
    [[map { [$_, key => 'x', extras => $t] } qw(gatq gatkq)], ''],
    [[['delete', key => 'q']],                'delete 0000'],
    [[['delete', key => 'q']],                'delete 0001 "Not found"'],
    [[['deleteq', key => 'a']],               ''],
    [[['deleteq', key => 'a']],               'deleteq 0001 "Not found"'],
    [[['flush', extras => touch_extras(1000)]], 'flush 0000'],
    [[['get', key => 'aq']],                  'get 0000:cas flags 5'],
    [[['flushq', extras => touch_extras(0)]], ''],
    [[['get', key => 'k']],                   'get 0001 "Not found"'],
    [[['flush']],                             'flush 0000'],
    [[['flushq']],                            ''],
    [[['noop', opaque => 77]],                'noop 0000 opaque 77'],
    [[['version']],                           'version 0000 "1.6.45"'],
    [[['verbosity', extras => $t, opaque => 9]],
        'verbosity 0081 opaque 9 "Unknown command"'],
    [[[0x50, key => 'k', value => 'set k 0 0 1', extras => 'x']],
        '50 0081 "Unknown command"'],
    [[map { [$_, key => 'PLAIN', value => 'x'] } qw(sasl_auth sasl_step)],
        'sasl_auth 0081 "Unknown command", sasl_step 0081 "Unknown command"'],
);

for my $row (@talk) {
    my ($requests, $answers) = @$row;
    my $name = join ', ', map { "$_->[0]" } @$requests;
    is $b->ask(map { packet(@$_) } @$requests), $answers, "$name: $answers";
}
my $key = "all \r\n\0 of it" . chr 255;
is $b->ask(packet('setq', key => $key, extras => $x, value => "\r\n"),
    packet('get', key => $key)), 'get 0000:cas flags 5 "\r\n"', 'any key';
is $b->last_words(packet('quit')), 'quit 0000', 'quit';
is(Binary->new($mc->client)->last_words(packet('quitq')), '', 'quitq');
done_testing;
