/*
 * Fuzzes the handshake and the batches of rep/auth. Two diallers and two
 * acceptors hold the same secret; the input is an attacker without it, who
 * delivers to any of them what any of them said, altered or not, or bytes of
 * its own. Who takes a proof must have a partner of the other role that heard
 * and said the same; who takes a batch, that partner's next one.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "rep/auth.h"

#define ENDS    4 /* 0 and 1 dial */
#define BATCHES 16
#define HELLO   8

struct hello {
    uint8_t nonce[REP_AUTH_NONCE];
    uint8_t bytes[HELLO];
};

struct batch {
    unsigned from, index;
    uint8_t bytes[4 + REP_AUTH_TAG];
};

struct end {
    enum rep_auth_role role;
    struct rep_auth *auth;
    struct rep_auth_link *link;
    struct hello said, heard;
    uint8_t proof[REP_AUTH_PROOF];
    bool has_proof, proven, broken;
    unsigned sent, received;
};

struct world {
    struct end ends[ENDS];
    struct batch batches[BATCHES];
    unsigned count;
};

/* The end that had the same conversation in the other role, if any. */
static unsigned partner(const struct world *w, unsigned self)
{
    const struct end *e = &w->ends[self];

    for (unsigned i = 0; i < ENDS; i++) {
        const struct end *p = &w->ends[i];

        if (p->role != e->role &&
            memcmp(&p->said, &e->heard, sizeof(p->said)) == 0 &&
            memcmp(&p->heard, &e->said, sizeof(p->said)) == 0) {
            return i;
        }
    }
    return ENDS;
}

static void feed(struct world *w, unsigned self,
                 const struct rep_auth_event *ev)
{
    struct end *e = &w->ends[self];
    const uint8_t *send;
    enum rep_auth_status status = rep_auth_step(e->auth, ev, &send);

    if (send != NULL) {
        memcpy(e->proof, send, REP_AUTH_PROOF);
        e->has_proof = true;
    }
    assert(!(e->proven && status == REP_AUTH_PROVEN));
    if (status != REP_AUTH_PROVEN) {
        return;
    }
    e->proven = true;
    assert(ev->kind == REP_AUTH_PROVES && partner(w, self) < ENDS);
    assert(w->ends[partner(w, self)].has_proof);
    e->link = rep_auth_link_new(e->auth);
    assert(e->link != NULL);
}

/* Bytes of the input turn bits of what is delivered; mostly none. */
static void alter(struct rd *in, uint8_t *p, size_t n)
{
    uint8_t where = rd_u8(in);

    if (where != 0) {
        p[where % n] ^= rd_u8(in);
    }
}

static void do_hello(struct world *w, struct rd *in, unsigned self, bool ours)
{
    struct end *e = &w->ends[self];
    struct hello hello = ours ? e->said : w->ends[rd_u8(in) % ENDS].said;
    struct rep_auth_event ev = {REP_AUTH_OURS, NULL, hello.bytes, HELLO};

    if (!ours) {
        ev.kind = REP_AUTH_THEIRS;
        ev.nonce = hello.nonce;
        alter(in, hello.nonce, sizeof(hello.nonce));
        alter(in, hello.bytes, sizeof(hello.bytes));
    }
    if (!ours && !e->has_proof && !e->proven) {
        e->heard = hello; /* an event out of order fails for good */
    }
    feed(w, self, &ev);
}

static void do_proof(struct world *w, struct rd *in, unsigned self)
{
    const struct end *from = &w->ends[rd_u8(in) % ENDS];
    uint8_t proof[REP_AUTH_PROOF] = {0};
    struct rep_auth_event ev = {REP_AUTH_PROVES, NULL, proof, sizeof(proof)};

    if (from->has_proof) {
        memcpy(proof, from->proof, sizeof(proof));
    }
    alter(in, proof, sizeof(proof));
    feed(w, self, &ev);
}

static void do_raw(struct world *w, struct rd *in, unsigned self)
{
    uint8_t kind = rd_u8(in), n = rd_u8(in);
    const uint8_t *p = rd_bytes(in, n);
    struct rep_auth_event ev = {REP_AUTH_PROVES, NULL, p, n};

    if (p == NULL) {
        return;
    }
    if (kind % 2 == 0) { /* a hello of one who uses no secret */
        ev.kind = REP_AUTH_THEIRS;
    }
    feed(w, self, &ev);
}

static void do_seal(struct world *w, struct rd *in, unsigned self)
{
    struct end *e = &w->ends[self];
    struct batch *b = &w->batches[w->count];

    if (e->link == NULL || w->count == BATCHES) {
        return;
    }
    w->count++;
    b->from = self;
    b->index = e->sent++;
    memset(b->bytes, rd_u8(in), 4);
    assert(rep_auth_seal(e->link, b->bytes, 4, b->bytes + 4));
}

static void do_open(struct world *w, struct rd *in, unsigned self)
{
    struct end *e = &w->ends[self];
    struct batch b;
    bool right, taken;

    if (e->link == NULL || w->count == 0) {
        return;
    }
    b = w->batches[rd_u8(in) % w->count];
    right = !e->broken && b.from == partner(w, self) && b.index == e->received;
    alter(in, b.bytes, sizeof(b.bytes));
    taken = rep_auth_open(e->link, b.bytes, 4, b.bytes + 4);
    for (unsigned i = 0; i < w->count; i++) {
        const struct batch *o = &w->batches[i];

        right = right && (o->from != b.from || o->index != b.index ||
                          memcmp(o->bytes, b.bytes, sizeof(b.bytes)) == 0);
    }
    assert(taken == right);
    e->received++;
    e->broken = e->broken || !taken;
}

static void run(struct world *w, struct rd *in)
{
    for (unsigned steps = 0; steps < 64 && in->p < in->end; steps++) {
        uint8_t op = rd_u8(in);
        unsigned self = op % ENDS;

        switch (op / ENDS % 6) {
        case 0:
            do_hello(w, in, self, true);
            break;
        case 1:
            do_hello(w, in, self, false);
            break;
        case 2:
            do_proof(w, in, self);
            break;
        case 3:
            do_raw(w, in, self);
            break;
        case 4:
            do_seal(w, in, self);
            break;
        case 5:
            do_open(w, in, self);
            break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rep_auth_secret *secret =
        rep_auth_secret_new("nobody may know it", 18);
    struct rd in = {data, data + size, false};
    struct world w = {.count = 0};

    for (unsigned i = 0; i < ENDS; i++) {
        struct end *e = &w.ends[i];

        memset(e->said.nonce, (int)(i + 1), REP_AUTH_NONCE);
        memset(e->said.bytes, (int)('a' + i), HELLO);
        e->role = i < 2 ? REP_AUTH_DIALLER : REP_AUTH_ACCEPTOR;
        e->auth = rep_auth_new(secret, e->role, e->said.nonce);
        assert(e->auth != NULL);
    }
    run(&w, &in);
    for (unsigned i = 0; i < ENDS; i++) {
        rep_auth_link_free(w.ends[i].link);
        rep_auth_free(w.ends[i].auth);
    }
    rep_auth_secret_free(secret);
    return 0;
}
