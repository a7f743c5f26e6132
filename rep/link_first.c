/* The first words of a connection: hellos, proofs, refusals. */
#include <string.h>

#include "base/clock.h"
#include "rep/link_internal.h"

/* A proof is random bytes: none begins like a line of ours. */
static const char refusal_begins[] = "repcached3 ";

_Static_assert((int)REP_REFUSAL_BUSY == (int)WIRE_BUSY &&
                   (int)REP_REFUSAL_STRANGER == (int)WIRE_STRANGER &&
                   (int)REP_REFUSAL_SELF == (int)WIRE_SELF &&
                   (int)REP_REFUSAL_CLOCK == (int)WIRE_CLOCK,
               "rep/core and the wire number refusals alike");

static void nonsense(struct rep_link *link, const char *why)
{
    link->phase = LINK_SAID;
    link->figures.error = why;
    link_tell(link, REP_EV_NONSENSE);
}

static void add_words(struct rep_link *link, const void *bytes, size_t n)
{
    memcpy(link->words + link->words_len, bytes, n);
    link->words_len += n;
}

/* ---- out ---------------------------------------------------------------- */

/* The handshake takes note of a step; false: it has failed. */
static bool step(struct rep_link *link, enum rep_auth_kind kind,
                 const uint8_t *nonce, const void *bytes, size_t n)
{
    const struct rep_auth_event ev = {kind, nonce, bytes, n};
    const uint8_t *send = NULL;
    enum rep_auth_status status = rep_auth_step(link->auth, &ev, &send);

    if (send != NULL) {
        link->proof = send;
    }
    if (status == REP_AUTH_PROVEN) {
        link->sealed = rep_auth_link_new(link->auth);
        status = link->sealed != NULL ? REP_AUTH_PROVEN : REP_AUTH_CRYPTO;
    }
    if (status != REP_AUTH_WAIT && status != REP_AUTH_PROVEN) {
        nonsense(link, rep_auth_text(status));
        return false;
    }
    return true;
}

static bool begin_auth(struct rep_link *link, struct wire_hello *hello)
{
    if (link->env->secret == NULL) {
        return true;
    }
    hello->has_nonce = rep_auth_draw_nonce(hello->nonce);
    if (hello->has_nonce) {
        link->auth = rep_auth_new(
            link->env->secret,
            link->dialled ? REP_AUTH_DIALLER : REP_AUTH_ACCEPTOR, hello->nonce);
    }
    return link->auth != NULL;
}

static bool say_hello(struct rep_link *link, struct wire_hello *hello)
{
    char line[WIRE_HELLO_MAX];
    size_t n = (size_t)(wire_format_hello(line, hello) - line);

    link->said = true;
    add_words(link, line, n);
    return link->auth == NULL || step(link, REP_AUTH_OURS, NULL, line, n);
}

void rep_link_hello(struct rep_link *link)
{
    struct wire_hello hello = {0};

    if (link->phase == LINK_CLOSED) {
        return;
    }
    if (link->said) {
        if (link->proof != NULL) {
            add_words(link, link->proof, REP_AUTH_PROOF);
            link->proof = NULL;
        }
        return;
    }
    link->env->hello(link->env->ctx, &hello);
    /* The acceptor with a secret has begun when the dialler's hello came. */
    if (!begin_auth(link, &hello)) {
        rep_link_fail(link, "no memory or no random bytes for a handshake");
        return;
    }
    (void)say_hello(link, &hello);
}

void rep_link_refuse(struct rep_link *link, enum wire_refusal refusal)
{
    char line[WIRE_LINE_ROOM];
    size_t n;

    if (link->phase == LINK_CLOSED) {
        return;
    }
    if (refusal == WIRE_SELF) {
        rep_link_hello(link); /* our run tells it best, secret or not */
    }
    n = (size_t)(wire_format_refusal(line, refusal) - line);
    link->phase = LINK_SAID; /* reads no more */
    link->leaving = true;
    add_words(link, line, n);
}

/* Who finds our hello or our proof wrong closes without a word. */
const char *link_first_why(const struct rep_link *link, const char *why)
{
    bool secret = link->env->secret != NULL;

    if (link->phase == LINK_PROOF && link->dialled) {
        return "the peer closed on our proof: does its rep_secret_file differ?";
    }
    if (link->phase == LINK_FIRST && link->dialled && link->said && !secret) {
        return "the peer closed without an answer: has it a rep_secret_file?";
    }
    if (link->phase == LINK_LINKED && !link->v3.resumed && !secret &&
        link->hello.has_nonce) {
        return "the peer has a rep_secret_file, this node has none";
    }
    return why;
}

void link_first_free(struct rep_link *link)
{
    rep_auth_link_free(link->sealed);
    rep_auth_free(link->auth);
}

/* ---- in ----------------------------------------------------------------- */

/* Both know who they are: rep/core decides what becomes of it. */
static void tell_hello(struct rep_link *link)
{
    const struct wire_hello *hello = &link->hello;
    struct rep_event ev = {
        .kind = REP_EV_HELLO,
        .conn = link->id,
        .run = hello->run,
        .was = hello->was,
        .slot = hello->slot,
        .skew = link->figures.skew_ms,
        .port = hello->port,
    };

    memcpy(ev.slots, hello->slots, sizeof(ev.slots));
    link->phase = LINK_SAID;
    link->env->event(link->env->ctx, &ev);
}

/* It says why it does not take us; rep/core makes of that what it can. Where
 * a secret has to be proven, one who has not cannot make us believe that we are
 * it: the hello would tell. */
static void refused(struct rep_link *link, uint8_t why)
{
    bool believed = link->env->secret == NULL || why != WIRE_SELF;
    struct rep_event ev = {
        .kind = REP_EV_CLOSED,
        .conn = link->id,
        .refusal = believed ? (enum rep_refusal)why : REP_REFUSAL_NONE,
    };

    link->failed = true;
    link->figures.error = wire_refusal_text((enum wire_refusal)why);
    rep_link_close(link);
    link->env->event(link->env->ctx, &ev);
}

/* With a secret both prove that they have it. `line` is their hello. */
static void ask_proof(struct rep_link *link, const char *line, size_t n)
{
    struct wire_hello ours = {0};

    if (!link->said) {
        link->env->hello(link->env->ctx, &ours);
        if (!begin_auth(link, &ours)) {
            nonsense(link, "no memory or no random bytes for a handshake");
            return;
        }
    }
    if (!step(link, REP_AUTH_THEIRS,
              link->hello.has_nonce ? link->hello.nonce : NULL, line, n)) {
        return;
    }
    link->phase = LINK_PROOF;
    if (!link->said) {
        (void)say_hello(link, &ours);
    } else if (link->proof != NULL) {
        add_words(link, link->proof, REP_AUTH_PROOF);
        link->proof = NULL;
    }
}

/* Clocks that no date has are far ahead, or far behind. */
static int64_t skew_of(uint64_t theirs)
{
    uint64_t ours = clock_ms();
    uint64_t apart = theirs > ours ? theirs - ours : ours - theirs;

    apart = apart < INT64_MAX ? apart : INT64_MAX;
    return theirs > ours ? (int64_t)apart : -(int64_t)apart;
}

static void on_hello(struct rep_link *link, const char *line, size_t n,
                     size_t used)
{
    char copy[WIRE_HELLO_MAX];

    if (!wire_parse_hello(line, n, &link->hello)) {
        nonsense(link, "the peer's hello cannot be understood");
        return;
    }
    if (link->hello.refused != WIRE_WELCOME) {
        refused(link, link->hello.refused);
        return;
    }
    if (link->hello.dialect < WIRE_DIALECT) {
        nonsense(link, "the peer speaks no dialect of ours");
        return;
    }
    memcpy(copy, line, used);
    link_took(link, used);
    link->figures.skew_ms = skew_of(link->hello.clock_ms);
    link->figures.run = link->hello.run;
    link->figures.dialect = WIRE_DIALECT;
    if (link->env->secret != NULL && link->hello.run != link->env->run) {
        ask_proof(link, copy, used);
    } else {
        tell_hello(link);
    }
}

static bool is_legacy_command(uint8_t op)
{
    return op == WIRE_REP || op == WIRE_DELETE || op == WIRE_FLUSH ||
           op == WIRE_FLUSH_AT || op == WIRE_END;
}

/* What the first line is decides who this is; a legacy command stays in the
 * buffer, to be carried out once the link is up. */
static void look_at_line(struct rep_link *link)
{
    struct wire_msg msg;
    size_t used = 0;
    enum wire_status hello = wire_sniff_hello(link->in, link->in_len);
    enum wire_status line;

    if (hello == WIRE_MORE && link->in_len < link->in_room) {
        return;
    }
    line = wire_parse(link->in, link->in_len, &msg, &used);
    if (line == WIRE_MORE && link->in_len < link->in_room) {
        return;
    }
    if (line == WIRE_OK && hello == WIRE_OK) {
        on_hello(link, msg.line, msg.line_len, used);
    } else if (line == WIRE_OK && is_legacy_command(msg.op)) {
        if (link->env->secret != NULL) {
            nonsense(link, "the peer is a repcached 2.x, which has no secret");
            return;
        }
        link->phase = LINK_SAID;
        link_tell(link, REP_EV_LEGACY);
    } else {
        nonsense(link, "the peer speaks something else");
    }
}

/* A refusal where a proof should be; false: it is none. */
static bool look_at_refusal(struct rep_link *link)
{
    struct wire_hello refusal;
    struct wire_msg msg;
    size_t used = 0;

    if (link->in_len < sizeof(refusal_begins) - 1 ||
        memcmp(link->in, refusal_begins, sizeof(refusal_begins) - 1) != 0) {
        return false;
    }
    if (wire_parse(link->in, link->in_len, &msg, &used) == WIRE_MORE &&
        link->in_len < link->in_room) {
        return true; /* bounded in time */
    }
    if (used > 0 && wire_parse_hello(msg.line, msg.line_len, &refusal) &&
        refusal.refused != WIRE_WELCOME) {
        refused(link, refusal.refused);
    } else {
        nonsense(link, "the peer's proof is wrong");
    }
    return true;
}

static void look_at_proof(struct rep_link *link)
{
    if (look_at_refusal(link) || link->in_len < REP_AUTH_PROOF ||
        !step(link, REP_AUTH_PROVES, NULL, link->in, REP_AUTH_PROOF)) {
        return;
    }
    link_took(link, REP_AUTH_PROOF);
    tell_hello(link);
}

void link_first_look(struct rep_link *link)
{
    if (link->phase == LINK_FIRST) {
        look_at_line(link);
    }
    if (link->phase == LINK_PROOF) {
        look_at_proof(link);
    }
}
