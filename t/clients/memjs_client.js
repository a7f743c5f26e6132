/* memjs, which speaks the binary protocol, against the server at argv[2]
 * (port); prints TAP. */
'use strict';

const memjs = require('memjs');

let tests = 0;

function ok(condition, name) {
  console.log(`${condition ? 'ok' : 'not ok'} ${++tests} - ${name}`);
}

async function main() {
  const c = memjs.Client.create(`127.0.0.1:${process.argv[2]}`, {timeout: 10, conntimeout: 10});

  ok(await c.flush(), 'flush');
  ok(await c.set('a', 'one', {expires: 600}), 'set');
  const got = await c.get('a');
  ok(got.value.toString() === 'one', 'get');
  ok((await c.get('absent')).value === null, 'a miss');
  ok(!await c.add('a', 'x', {}), 'add, present');
  ok(await c.add('b', 'two', {}), 'add, absent');
  ok(!await c.replace('absent', 'x', {}), 'replace, absent');
  ok(await c.replace('b', 'TWO', {}), 'replace, present');
  ok(await c.append('b', '!'), 'append');
  ok(await c.prepend('b', '<'), 'prepend');
  /* Its prepend says append (1.3.2). */
  ok(/^(<TWO!|TWO!<)$/.test((await c.get('b')).value.toString()), 'all of it');
  ok((await c.increment('n', 5, {initial: 10, expires: 0})).value === 10, 'increment creates');
  ok((await c.increment('n', 5, {})).value === 15, 'increment');
  ok((await c.decrement('n', 20, {})).value === 0, 'decrement stops at 0');
  ok(await c.touch('b', 1000), 'touch');
  ok(await c.delete('b'), 'delete');
  ok(!await c.delete('b'), 'delete, absent');
  const bytes = Buffer.alloc(900000, 'x\r\n\0');
  ok(await c.set('large', bytes, {}), 'a large value');
  ok((await c.get('large')).value.equals(bytes), 'comes back');
  const many = await Promise.all(Array.from({length: 200}, (_, i) => c.set(`k${i}`, `v${i}`, {})));
  ok(many.every(Boolean), 'many at once');
  const values = await Promise.all(Array.from({length: 200}, (_, i) => c.get(`k${i}`)));
  ok(values.every((r, i) => r.value.toString() === `v${i}`), 'all come back');
  const pid = await new Promise((resolve) => c.stats((err, server, stats) => resolve(stats && stats.pid)));
  ok(Number(pid) > 1, 'stats');
  c.close();
  console.log(`1..${tests}`);
}

main().catch((e) => { console.log(`# ${e.stack}`); process.exit(1); });
