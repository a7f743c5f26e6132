<?php
/* php-memcached against two servers, argv[1] and argv[2] (ports); prints TAP. */

$tests = 0;

function ok($condition, $name)
{
    global $tests;
    printf("%s %d - %s\n", $condition ? 'ok' : 'not ok', ++$tests, $name);
}

function client($binary, ...$ports)
{
    $m = new Memcached();
    $m->setOptions([
        Memcached::OPT_BINARY_PROTOCOL => $binary,
        Memcached::OPT_TCP_NODELAY => true,
        Memcached::OPT_CONNECT_TIMEOUT => 10000,
        Memcached::OPT_POLL_TIMEOUT => 10000,
    ]);
    foreach ($ports as $port) {
        $m->addServer('127.0.0.1', (int) $port);
    }
    return $m;
}

function commands($m, $how)
{
    ok($m->flush(), "$how: flush");
    ok($m->set('a', 'one'), "$how: set");
    ok($m->get('a') === 'one', "$how: get");
    ok($m->get('absent') === false &&
       $m->getResultCode() === Memcached::RES_NOTFOUND, "$how: a miss");
    ok(!$m->add('a', 'x') &&
       in_array($m->getResultCode(), [Memcached::RES_NOTSTORED,
           Memcached::RES_DATA_EXISTS], true), "$how: add, present");
    ok($m->add('n', 10, 100), "$how: add, absent, with an expiry");
    ok($m->increment('n', 5) === 15, "$how: increment");
    ok($m->decrement('n', 20) === 0, "$how: decrement stops at 0");
    ok($m->replace('n', ['an' => 'array']), "$how: replace");
    ok($m->get('n') === ['an' => 'array'], "$how: a serialized value");
    $m->setOption(Memcached::OPT_COMPRESSION, false);
    ok($m->set('text', 'b') && $m->append('text', 'c') &&
       $m->prepend('text', 'a'), "$how: append, prepend");
    ok($m->get('text') === 'abc', "$how: all of it");
    $m->setOption(Memcached::OPT_COMPRESSION, true);
    $got = $m->get('a', null, Memcached::GET_EXTENDED);
    ok($m->cas($got['cas'], 'a', 'two'), "$how: cas");
    ok(!$m->cas($got['cas'], 'a', 'three') &&
       $m->getResultCode() === Memcached::RES_DATA_EXISTS, "$how: stale cas");
    ok($m->touch('a', 1000), "$how: touch");
    $many = [];
    for ($i = 0; $i < 500; $i++) {
        $many["k$i"] = str_repeat("v$i", 50);
    }
    ok($m->setMulti($many), "$how: setMulti");
    ok($m->getMulti(array_keys($many)) == $many, "$how: getMulti");
    ok($m->getDelayed(['k1', 'k2'], true) &&
       count($m->fetchAll()) === 2, "$how: getDelayed");
    ok($m->delete('a') && $m->get('a') === false, "$how: delete");
    $large = random_bytes(900000);
    ok($m->set('large', $large) && $m->get('large') === $large,
       "$how: a large value");
    $version = array_values($m->getVersion());
    ok(preg_match('/^1\.6\.\d+$/', $version[0]) === 1, "$how: version");
    $stats = array_values($m->getStats());
    ok($stats[0]['pid'] > 1, "$how: stats");
}

commands(client(false, $argv[1]), 'text');
commands(client(true, $argv[1]), 'binary');

/* Each key on both servers, so that either may go. */
$m = client(true, $argv[1], $argv[2]);
$m->setOption(Memcached::OPT_NUMBER_OF_REPLICAS, 1);
for ($i = 0; $i < 20; $i++) {
    $m->set("replica$i", "value$i");
}
$m->get('replica0'); /* what was quiet has been carried out */
foreach ([$argv[1], $argv[2]] as $port) {
    $one = client(false, $port);
    $there = 0;
    for ($i = 0; $i < 20; $i++) {
        $there += $one->get("replica$i") === "value$i";
    }
    ok($there === 20, "replicas: all keys on port $port");
}
echo "1..$tests\n";
