"""pylibmc, with both protocols, against the server at argv[1] (port)."""
import sys

import pylibmc

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


def replaced(c, key):
    # With the binary protocol the client raises where text says no.
    try:
        return c.replace(key, "x")
    except pylibmc.NotFound:
        return False


def session(c, title):
    ok(c.flush_all(), title + "flush_all")
    ok(c.set("a", "one"), title + "set")
    ok(c.get("a") == "one", title + "get")
    ok(c.get("absent") is None, title + "get, miss")
    ok(not c.add("a", "x"), title + "add, present")
    ok(c.add("b", b"two"), title + "add, absent")
    ok(c.replace("b", b"TWO"), title + "replace")
    ok(not replaced(c, "absent"), title + "replace, absent")
    ok(c.append("b", b"!"), title + "append")
    ok(c.prepend("b", b"<"), title + "prepend")
    ok(c.get("b") == b"<TWO!", title + "all of it")
    for value in (0, -7, 2**40, 1.5, True, None, [1, {"a": (2, 3)}], ""):
        c.set("typed", value)
        ok(c.get("typed") == value, title + "flags keep the type of %r"
           % (value,))
    c.set("n", 10)
    ok(c.incr("n", 5) == 15, title + "incr")
    ok(c.decr("n", 20) == 0, title + "decr")
    ok(refused(pylibmc.NotFound, lambda: c.incr("absent")),
       title + "incr, absent")
    keys = {"k%d" % i: "v%d" % i for i in range(300)}
    ok(c.set_multi(keys) == [], title + "set_multi")
    ok(c.get_multi(list(keys) + ["absent"]) == keys, title + "get_multi")
    ok(c.delete_multi(["k1", "k2"]), title + "delete_multi")
    ok(c.touch("a", 100), title + "touch")
    ok(c.delete("a"), title + "delete")
    ok(not c.delete("a"), title + "delete, absent")
    big = b"x" * 1000000
    ok(c.set("big", big) and c.get("big") == big, title + "1 MB")
    ok(c.set("zip", "z" * 3000000, min_compress_len=1000)
       and c.get("zip") == "z" * 3000000, title + "compressed")
    ok(refused(pylibmc.Error, lambda: c.set("big", b"x" * 2000000)),
       title + "too large")
    ok(b"1.6." in bytes(c.get_stats()[0][1]["version"]), title + "stats")


server = ["127.0.0.1:" + sys.argv[1]]
session(pylibmc.Client(server, binary=False), "")
session(pylibmc.Client(server, binary=False,
                       behaviors={"tcp_nodelay": True, "no_block": True}),
        "no_block: ")
session(pylibmc.Client(server, binary=True), "binary: ")
session(pylibmc.Client(server, binary=True,
                       behaviors={"tcp_nodelay": True, "no_block": True}),
        "binary, no_block: ")
for binary in (False, True):
    title = "binary: " if binary else ""
    c = pylibmc.Client(server, binary=binary, behaviors={"cas": True})
    c.set("c", "one")
    value, cas = c.gets("c")
    ok(value == "one" and c.cas("c", "two", cas), title + "cas")
    ok(not c.cas("c", "three", cas), title + "cas, late")
c = pylibmc.Client(server, binary=False, behaviors={"ketama": True})
ok(c.set("ketama", 1) and c.get("ketama") == 1, "ketama")
print("1..%d" % tests)
