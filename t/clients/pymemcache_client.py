"""pymemcache against the server at argv[1] (port); prints TAP.
With argv[2], a CA file, over TLS."""
import ssl
import sys

from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError

tests = 0


def ok(condition, name):
    global tests
    tests += 1
    print("%s %d - %s" % ("ok" if condition else "not ok", tests, name))


def refused(error, call):
    try:
        call()
    except error:
        return True
    return False


address = ("127.0.0.1", int(sys.argv[1]))
tls = None
if len(sys.argv) > 2:
    tls = ssl.create_default_context(cafile=sys.argv[2])
    tls.check_hostname = False
c = Client(address, connect_timeout=10, timeout=10, default_noreply=False,
           tls_context=tls)
ok(c.flush_all(), "flush_all")
ok(c.set("a", b"one"), "set")
ok(c.get("a") == b"one", "get")
ok(c.get("absent") is None, "get, miss")
ok(c.get("absent", default=5) == 5, "get, default")
ok(not c.add("a", b"x"), "add, present")
ok(c.add("b", b"two", expire=100), "add, absent")
ok(not c.replace("absent", b"x"), "replace, absent")
ok(c.replace("b", b"TWO"), "replace, present")
ok(c.append("b", b"!"), "append")
ok(c.prepend("b", b"<"), "prepend")
ok(c.get("b") == b"<TWO!", "all of it")
ok(c.set_many({"k%d" % i: b"v%d" % i for i in range(500)}) == [], "set_many")
many = c.get_many(["k%d" % i for i in range(600)])
ok(len(many) == 500 and many["k77"] == b"v77", "get_many")
value, cas = c.gets("a")
ok(value == b"one" and cas.isdigit(), "gets")
ok(c.cas("a", b"two", cas) is True, "cas")
ok(c.cas("a", b"three", cas) is False, "cas, late")
ok(c.cas("absent", b"x", cas) is None, "cas, absent")
ok(len(c.gets_many(["a", "b"])) == 2, "gets_many")
ok(c.set("n", b"10"), "a number")
ok(c.incr("n", 5) == 15, "incr")
ok(c.decr("n", 20) == 0, "decr")
ok(c.incr("absent", 1) is None, "incr, absent")
ok(refused(MemcacheClientError, lambda: c.incr("a", 1)), "incr, no number")
ok(c.touch("a", 100), "touch")
ok(not c.touch("absent", 100), "touch, absent")
ok(c.delete("a"), "delete")
ok(not c.delete("a"), "delete, absent")
ok(c.delete_many(["k1", "k2"]), "delete_many")
big = b"x" * 1000000
ok(c.set("big", big) and c.get("big") == big, "1 MB")
ok(refused(MemcacheServerError, lambda: c.set("big", b"x" * 2000000)),
   "too large")
ok(c.version().startswith(b"1.6."), "version")
ok(c.stats()[b"curr_items"] > 400, "stats")
ok(c.stats("settings")[b"evictions"], "stats settings")
ok(c.cache_memlimit(64), "cache_memlimit")
for i in range(1000):
    c.set("q%d" % i, b"x" * i, noreply=True)
ok(c.get("q999") == b"x" * 999, "noreply")
p = PooledClient(address, max_pool_size=4, timeout=10, tls_context=tls)
ok(p.set("pool", b"1") and p.get("pool") == b"1", "a pool")
h = HashClient([address], timeout=10, tls_context=tls)
ok(h.set("hash", b"1") and h.get("hash") == b"1", "hashed")
c.quit()
ok(c.get("pool") == b"1", "dials again after quit")
print("1..%d" % tests)
