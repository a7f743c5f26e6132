"""pylibmc with SASL PLAIN, against the server at argv[1] (port); its user is
bob, with the password secret."""
import sys

import pylibmc

tests = 0


def ok(condition, name):
    global tests
    tests += 1
    print("%s %d - %s" % ("ok" if condition else "not ok", tests, name))


def works(**who):
    c = pylibmc.Client(["127.0.0.1:" + sys.argv[1]], binary=True, **who)
    try:
        return c.set("a", "one") and c.get("a") == "one"
    except pylibmc.Error:
        return False


if not getattr(pylibmc, "support_sasl", True):
    print("1..0 # SKIP pylibmc without SASL")
    sys.exit()
ok(works(username="bob", password="secret"), "the right password")
ok(not works(username="bob", password="wrong"), "a wrong one")
ok(not works(username="eve", password="secret"), "nobody")
ok(not works(), "none at all")
c = pylibmc.Client(["127.0.0.1:" + sys.argv[1]], binary=True, username="bob",
                   password="secret")
keys = {"k%d" % i: "v%d" % i for i in range(300)}
ok(c.set_multi(keys) == [], "set_multi")
ok(c.get_multi(list(keys)) == keys, "get_multi")
big = b"x" * 1000000
ok(c.set("big", big) and c.get("big") == big, "1 MB")
ok(c.incr("n") == 1 if c.set("n", 0) else False, "incr")
print("1..%d" % tests)
