#include "rep/hints.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"

enum {
    RINGS = 16,        /* threads beyond that share */
    LEVELS = 3,        /* a rise leads to 1, 2 or 3 hits */
    RING_BYTES = 4096, /* for each level of a ring, in one round */
    KEY_MAX = 250,     /* bytes of a key */
    KEYS_MAX = RING_BYTES / 2 * RINGS, /* of a level in one round */
    WISHES = 512,                      /* absent keys that are remembered */
    BURST_DIV = 4, /* unused budget is kept for 1 / so many seconds */
    ENTRY = 3,     /* bytes of a key beside its rest, at most */
    /* The first of them: 4 bits of how much more it shares than the key before,
     * 1 bit, 3 bits of the length of its rest. */
    STEP = 7,   /* more or less by at most so much, or */
    FAR = 8,    /* the next byte tells how much it shares */
    PACKED = 8, /* the rest is in halves of bytes */
    LONG = 7,   /* the next byte tells the length of the rest */
};

/* Keys, each behind a byte with its length. */
struct heap {
    size_t used;
    char bytes[RING_BYTES];
};

struct ring {
    _Alignas(64) struct lock lock; /* QUEUE */
    struct heap level[LEVELS];
    uint64_t noted, dropped;
};

/* The keys of a level in the present round: sorted, and sent from `first` on
 * round to where that began. */
struct round {
    size_t n, first, sent;
    const char **key; /* KEYS_MAX; each behind a byte with its length */
    char *bytes;      /* RING_BYTES * RINGS */
};

struct rep_hints {
    struct ring ring[RINGS];
    struct round round[LEVELS];
    uint64_t rounds;
    struct mono began;  /* the present round */
    struct mono filled; /* the budget */
    uint64_t rate;      /* bytes a second */
    uint64_t budget;    /* nanoseconds of `rate` that are unused */
    /* Of absent keys the hash, its low bits the hits hinted at. A later one in
     * its place replaces it. */
    uint64_t wished[WISHES];
    /* [a] written by the replication thread */
    atomic_ullong left_out, sent, bytes, applied, absent;
};

static void add(atomic_ullong *counter, uint64_t n)
{
    (void)atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* ---- workers ---- */

static struct ring *my_ring(struct rep_hints *h)
{
    static atomic_uint threads;
    static _Thread_local unsigned mine;

    if (mine == 0) {
        mine = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) + 1;
    }
    return &h->ring[mine % RINGS];
}

static void note_locked(struct ring *r, const struct item *it, unsigned level)
{
    struct heap *heap = &r->level[level - 1];

    if (sizeof(heap->bytes) - heap->used < (size_t)it->nkey + 1) {
        r->dropped++;
        return;
    }
    heap->bytes[heap->used] = (char)it->nkey;
    memcpy(heap->bytes + heap->used + 1, item_key(it), it->nkey);
    heap->used += (size_t)it->nkey + 1;
    r->noted++;
}

static void rose(void *ctx, const struct item *it, unsigned level)
{
    struct rep_hints *h = ctx;
    struct ring *r = my_ring(h);

    /* Nobody who serves a client waits for this: the ring is being emptied. */
    if (!lock_try(&r->lock, LOCK_QUEUE)) {
        add(&h->left_out, 1);
        return;
    }
    note_locked(r, it, level);
    lock_drop(&r->lock, LOCK_QUEUE);
}

/* ---- life ---- */

struct rep_hints *rep_hints_new(size_t rate)
{
    struct rep_hints *h = aligned_alloc(64, sizeof(*h));
    bool ok = true;

    if (h == NULL) {
        return NULL;
    }
    memset(h, 0, sizeof(*h));
    h->rate = rate;
    for (int i = 0; i < LEVELS; i++) {
        struct round *r = &h->round[i];

        r->key = malloc(KEYS_MAX * sizeof(*r->key));
        r->bytes = malloc((size_t)RING_BYTES * RINGS);
        ok = ok && r->key != NULL && r->bytes != NULL;
    }
    if (!ok) {
        rep_hints_free(h);
        return NULL;
    }
    store_on_rise(rose, h);
    return h;
}

void rep_hints_free(struct rep_hints *h)
{
    if (h == NULL) {
        return;
    }
    store_watch_rises(false);
    for (int i = 0; i < LEVELS; i++) {
        free(h->round[i].key);
        free(h->round[i].bytes);
    }
    free(h);
}

void rep_hints_watch(struct rep_hints *h, bool on)
{
    (void)h;
    store_watch_rises(on);
}

/* ---- draining ---- */

static size_t length_of(const char *key)
{
    return (unsigned char)*key;
}

static size_t shorter(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int compare_keys(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    size_t nx = length_of(x), ny = length_of(y);
    int order = memcmp(x + 1, y + 1, shorter(nx, ny));

    return order != 0 ? order : (nx > ny) - (nx < ny);
}

/* Empties the rings into the bytes of the rounds. */
static void collect(struct rep_hints *h, size_t used[LEVELS])
{
    for (int i = 0; i < RINGS; i++) {
        struct ring *r = &h->ring[i];

        lock_take(&r->lock, LOCK_QUEUE);
        for (int k = 0; k < LEVELS; k++) {
            memcpy(h->round[k].bytes + used[k], r->level[k].bytes,
                   r->level[k].used);
            used[k] += r->level[k].used;
            r->level[k].used = 0;
        }
        lock_drop(&r->lock, LOCK_QUEUE);
    }
}

static void sort_round(struct round *r, size_t used, uint64_t rounds)
{
    r->n = r->sent = 0;
    for (size_t at = 0; at < used; at += length_of(r->bytes + at) + 1) {
        r->key[r->n++] = r->bytes + at;
    }
    qsort(r->key, r->n, sizeof(*r->key), compare_keys);
    /* Where the budget ends must not be the same keys every time. */
    r->first =
        r->n == 0
            ? 0
            : (size_t)(rounds * UINT64_C(0x9e3779b97f4a7c15) >> 32) % r->n;
}

static void next_round(struct rep_hints *h, struct mono now)
{
    size_t used[LEVELS] = {0};

    for (int i = 0; i < LEVELS; i++) {
        add(&h->left_out, h->round[i].n - h->round[i].sent);
    }
    collect(h, used);
    h->rounds++;
    h->began = now;
    for (int i = 0; i < LEVELS; i++) {
        sort_round(&h->round[i], used[i], h->rounds);
    }
}

static size_t refill(struct rep_hints *h, struct mono now)
{
    const uint64_t second = UINT64_C(1000000000);

    h->budget += now.ns - h->filled.ns;
    h->filled = now;
    if (h->budget > second / BURST_DIV) {
        h->budget = second / BURST_DIV;
    }
    return (size_t)(h->budget * h->rate / second);
}

static void spend(struct rep_hints *h, size_t bytes)
{
    /* Rounded up: never more than the rate. */
    uint64_t ns = (bytes * UINT64_C(1000000000) + h->rate - 1) / h->rate;

    h->budget -= ns < h->budget ? ns : h->budget;
    add(&h->bytes, bytes);
}

static size_t shared(const char *before, const char *key)
{
    size_t n = before == NULL ? 0 : shorter(length_of(before), length_of(key));
    size_t same = 0;

    while (same < n && before[1 + same] == key[1 + same]) {
        same++;
    }
    return same;
}

/* 16 when `c` is no digit of a packed rest. */
static unsigned nibble_of(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

static bool is_packable(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (nibble_of(p[i]) == 16) {
            return false;
        }
    }
    return n > 1;
}

static void pack(uint8_t *out, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i += 2) {
        unsigned low = i + 1 < n ? nibble_of(p[i + 1]) : 0;

        out[i / 2] = (uint8_t)(nibble_of(p[i]) << 4 | low);
    }
}

/* The key before, and how much that shared with the one before it. */
struct before {
    const char *key; /* NULL: none */
    size_t same;
};

/* Appends a key to `out`; returns the bytes it took, 0: no room. */
static size_t put_key(uint8_t *out, size_t room, struct before *before,
                      const char *key)
{
    size_t same = shared(before->key, key), rest = length_of(key) - same;
    const char *p = key + 1 + same;
    bool packed = is_packable(p, rest);
    size_t bytes = packed ? (rest + 1) / 2 : rest, n = 1;
    bool far = same + STEP < before->same || same > before->same + STEP;

    if (room < ENTRY + bytes) {
        return 0;
    }
    out[0] = (uint8_t)((far ? FAR : (same - before->same) & 15U) << 4 |
                       (packed ? PACKED : 0U) | (rest < LONG ? rest : LONG));
    if (far) {
        out[n++] = (uint8_t)same;
    }
    if (rest >= LONG) {
        out[n++] = (uint8_t)rest;
    }
    if (packed) {
        pack(out + n, p, rest);
    } else {
        memcpy(out + n, p, rest);
    }
    *before = (struct before){key, same};
    return n + bytes;
}

/* One message of one level; returns its length, 0: none. */
static size_t put_level(struct round *r, unsigned level, uint8_t *buf,
                        size_t room, uint64_t *keys)
{
    struct before before = {NULL, 0};
    size_t len = 1;

    buf[0] = (uint8_t)level;
    for (*keys = 0; r->sent < r->n; r->sent++) {
        const char *key = r->key[(r->first + r->sent) % r->n];
        size_t part;

        if (before.key != NULL && compare_keys(&before.key, &key) == 0) {
            continue; /* of two workers: once is enough */
        }
        part = put_key(buf + len, room - len, &before, key);
        if (part == 0) {
            break;
        }
        len += part;
        (*keys)++;
    }
    return *keys == 0 ? 0 : len;
}

size_t rep_hints_drain(struct rep_hints *h, struct mono now, uint8_t *buf,
                       size_t room)
{
    size_t budget = refill(h, now);

    assert(room >= REP_HINTS_ROOM_MIN);
    if (now.ns - h->began.ns >= REP_HINTS_ROUND_MS * UINT64_C(1000000)) {
        next_round(h, now);
    }
    if (budget < REP_HINTS_HEAD + REP_HINTS_ROOM_MIN) {
        return 0;
    }
    room = shorter(room, budget - REP_HINTS_HEAD);
    for (unsigned level = LEVELS; level > 0; level--) {
        uint64_t keys;
        size_t len = put_level(&h->round[level - 1], level, buf, room, &keys);

        if (len > 0) {
            spend(h, len + REP_HINTS_HEAD);
            add(&h->sent, keys);
            return len;
        }
    }
    return 0;
}

/* ---- receiving ---- */

/* The key before, or the one being read. */
struct reading {
    const uint8_t *p, *end; /* of the payload to come */
    char key[KEY_MAX];
    size_t nkey, same;
};

/* One byte; false at the end. */
static bool take_byte(struct reading *r, size_t *out)
{
    if (r->p == r->end) {
        return false;
    }
    *out = *r->p++;
    return true;
}

/* How much it shares, and the length of its rest. */
static bool take_lengths(struct reading *r, unsigned head, size_t *rest)
{
    unsigned step = head >> 4;
    size_t same = r->same + step;

    if (step == FAR) {
        if (!take_byte(r, &same)) {
            return false;
        }
    } else if (step > FAR) {
        same -= 16; /* less: below 0 it is out of bounds */
    }
    *rest = head & LONG;
    if (*rest == LONG && !take_byte(r, rest)) {
        return false;
    }
    if (same > r->nkey || *rest > KEY_MAX - same || same + *rest == 0) {
        return false;
    }
    r->same = same;
    return true;
}

static bool unpack(char *out, const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        out[i] = digits[i % 2 == 0 ? p[i / 2] >> 4 : p[i / 2] & 15];
    }
    /* The last half, if there is none for it. */
    return n % 2 == 0 || (p[n / 2] & 15) == 0;
}

/* Takes the next key; false: malformed. */
static bool take_key(struct reading *r)
{
    size_t head, rest, bytes;
    bool ok = true;

    if (!take_byte(r, &head) || !take_lengths(r, (unsigned)head, &rest)) {
        return false;
    }
    bytes = (head & PACKED) != 0 ? (rest + 1) / 2 : rest;
    if (bytes > (size_t)(r->end - r->p)) {
        return false;
    }
    if ((head & PACKED) != 0) {
        ok = unpack(r->key + r->same, r->p, rest);
    } else {
        memcpy(r->key + r->same, r->p, rest);
    }
    r->nkey = r->same + rest;
    r->p += bytes;
    return ok;
}

static uint64_t *wish_of(struct rep_hints *h, uint64_t hv)
{
    return &h->wished[hv >> 2 & (WISHES - 1)];
}

void rep_hints_arrived(struct rep_hints *h, const struct store_key *key)
{
    uint64_t *wish = h != NULL ? wish_of(h, key->hv) : NULL;

    if (wish != NULL && UNLIKELY((*wish | LEVELS) == (key->hv | LEVELS)) &&
        *wish != 0) {
        (void)store_warm(key, (unsigned)(*wish & LEVELS));
        *wish = 0;
    }
}

bool rep_hints_apply(struct rep_hints *h, const uint8_t *payload, size_t n,
                     rep_hints_absent *absent, void *ctx)
{
    struct reading r = {.p = payload + 1, .end = payload + n};

    if (n == 0 || payload[0] == 0 || payload[0] > LEVELS) {
        return false;
    }
    while (r.p < r.end) {
        struct store_key key;
        bool held;

        if (!take_key(&r)) {
            return false;
        }
        key = store_key(r.key, r.nkey);
        held = store_warm(&key, payload[0]);
        add(held ? &h->applied : &h->absent, 1);
        if (!held && absent != NULL) {
            *wish_of(h, key.hv) = (key.hv & ~(uint64_t)LEVELS) | payload[0];
            absent(ctx, r.key, r.nkey);
        }
    }
    return true;
}

/* ---- figures ---- */

void rep_hints_figures(struct rep_hints *h, struct rep_hints_figures *out)
{
    memset(out, 0, sizeof(*out));
    for (int i = 0; i < RINGS; i++) {
        lock_take(&h->ring[i].lock, LOCK_QUEUE);
        out->noted += h->ring[i].noted;
        out->dropped += h->ring[i].dropped;
        lock_drop(&h->ring[i].lock, LOCK_QUEUE);
    }
    out->dropped += atomic_load_explicit(&h->left_out, memory_order_relaxed);
    out->sent = atomic_load_explicit(&h->sent, memory_order_relaxed);
    out->bytes = atomic_load_explicit(&h->bytes, memory_order_relaxed);
    out->applied = atomic_load_explicit(&h->applied, memory_order_relaxed);
    out->absent = atomic_load_explicit(&h->absent, memory_order_relaxed);
}
