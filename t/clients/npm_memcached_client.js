/* `memcached` of npm, which speaks text, against the server at argv[2] (port);
 * prints TAP. */
'use strict';

const {promisify} = require('util');
const Memcached = require('memcached');

let tests = 0;

function ok(condition, name) {
  console.log(`${condition ? 'ok' : 'not ok'} ${++tests} - ${name}`);
}

async function main() {
  const m = new Memcached(`127.0.0.1:${process.argv[2]}`, {timeout: 10000, retries: 0, poolSize: 5});
  const call = (verb, ...args) => promisify(m[verb].bind(m))(...args);
  const refused = (verb, ...args) => call(verb, ...args).then((r) => r === false, () => true);

  ok((await call('flush'))[0], 'flush');
  ok(await call('set', 'a', 'one', 600), 'set');
  ok(await call('get', 'a') === 'one', 'get');
  ok(await call('get', 'absent') === undefined, 'a miss');
  ok(await refused('add', 'a', 'x', 0), 'add, present');
  ok(await call('add', 'b', 'two', 0), 'add, absent');
  ok(await refused('replace', 'absent', 'x', 0), 'replace, absent');
  ok(await call('replace', 'b', 'TWO', 0), 'replace, present');
  ok(await call('append', 'b', '!'), 'append');
  ok(await call('prepend', 'b', '<'), 'prepend');
  ok(await call('get', 'b') === '<TWO!', 'all of it');
  ok(await call('set', 'n', 10, 0), 'a number');
  ok(await call('incr', 'n', 5) === 15, 'incr');
  ok(await call('decr', 'n', 20) === 0, 'decr stops at 0');
  const got = await call('gets', 'b');
  ok(await call('cas', 'b', 'new', got.cas, 0), 'cas');
  ok(await refused('cas', 'b', 'late', got.cas, 0), 'stale cas');
  ok(await call('touch', 'b', 1000), 'touch');
  ok(await call('del', 'b'), 'del');
  ok((await call('get', 'b')) === undefined, 'gone');
  const object = {an: 'object', list: [1, 2, 3]};
  ok(await call('set', 'o', object, 0), 'an object');
  ok(JSON.stringify(await call('get', 'o')) === JSON.stringify(object), 'comes back');
  await Promise.all(Array.from({length: 200}, (_, i) => call('set', `k${i}`, `v${i}`, 0)));
  const many = await call('getMulti', Array.from({length: 200}, (_, i) => `k${i}`));
  ok(Object.keys(many).length === 200 && many.k7 === 'v7', 'getMulti');
  ok((await call('stats'))[0].pid > 1, 'stats');
  ok((await call('settings'))[0].maxconns > 0, 'stats settings');
  ok(typeof (await call('version'))[0].version === 'string', 'version');
  m.end();
  console.log(`1..${tests}`);
}

main().catch((e) => { console.log(`# ${e.stack || e}`); process.exit(1); });
