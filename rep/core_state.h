/*
 * core_state - what the pieces of rep/core share: its state and small steps.
 *
 * core.c turns events into steps, core_link.c admits and ends links,
 * core_time.c judges silence and plans what comes next. Only these include
 * this header.
 *
 * Layer:     4. Includes rep/core.h.
 * Threads:   as rep/core.h.
 * Ownership: as rep/core.h.
 */
#ifndef REP_CORE_STATE_H
#define REP_CORE_STATE_H

#include "rep/core.h"

#define CORE_NEVER   UINT64_MAX
#define CORE_KNOWN   64 /* addresses that said hello, remembered */
#define CORE_WAITERS 8  /* newcomers who wait for a place */

enum core_conn_state {
    CORE_FREE,
    CORE_ACCEPTED, /* has to prove itself */
    CORE_DIALLED,  /* our hello went out; the first line is awaited */
    CORE_WAITING,  /* said hello; an occupant is asked for a sign of life */
    CORE_LINKED,
};

struct core_conn {
    enum core_conn_state state;
    uint32_t id;
    unsigned peer;                  /* configured peer, or REP_CORE_NO_PEER */
    uint64_t addr;                  /* as the edge names it */
    uint64_t run;                   /* after its hello */
    uint8_t slot;                   /* as its hello said */
    uint64_t slots[REP_CORE_SLOTS]; /* the same: in use where it stands */
    uint64_t since;                 /* ms at which the state began */
    uint64_t heard;                 /* ms of the last bytes */
    uint64_t beat;                  /* ms of our last beat */
    uint64_t lost;                  /* least version lost while a scan runs */
    bool dialled;
    bool configured; /* `peer` is known, or one of them it may be */
    bool exact;      /* `peer` is proven by a dial or by its port */
    bool loud;       /* dialled, and the connect line was printed */
    bool trusted;    /* may be a silent legacy peer */
    bool spoke;      /* sent something */
    bool legacy;     /* LINKED: repcached 2.x */
    bool firm;       /* LINKED by more than silence */
    bool asked;      /* LINKED: a newcomer waits for a sign of life */
    bool scanning;   /* LINKED: our scan runs */
    bool behind;     /* LINKED: `lost` has to be scanned, too */
    bool announced;  /* LINKED: our copy is complete */
    bool received;   /* LINKED: the peer's copy is complete */
};

enum core_dial_state {
    CORE_DIAL_IDLE, /* linked, or not planned yet */
    CORE_DIAL_SLEEPING,
    CORE_DIAL_PENDING, /* resolving, connecting */
    CORE_DIAL_OPEN,    /* a connection of it awaits the first line */
};

struct core_peer {
    enum core_dial_state state;
    uint64_t at;          /* SLEEPING: ms of the next attempt */
    uint32_t backoff;     /* ms */
    bool dialled;         /* at least once */
    bool said;            /* the present failure was printed */
    bool loud;            /* the attempt under way is printed */
    bool next;            /* the last address led nowhere */
    bool absent;          /* it refused: nobody there to wait for */
    bool copied;          /* its copy came */
    bool self;            /* its name leads to ourselves: no peer at all */
    uint64_t run;         /* that answered our last dial; 0: none yet */
    uint64_t quiet_since; /* ms since which no link of it brought anything */
};

struct rep_core {
    struct rep_core_config config;
    uint64_t now;
    uint64_t random;
    uint64_t timer;       /* ms asked for by the last TIMER, or CORE_NEVER */
    uint64_t judge_after; /* ms; before, nobody is called silent */
    uint64_t stop_at;     /* stopping: ms of the bound */
    bool started, serving, stopping, ended;
    bool said_listening;
    uint64_t known[CORE_KNOWN];
    unsigned nknown; /* ever remembered */
    struct core_peer peers[REP_CORE_PEERS];
    unsigned top; /* places of `conns` from here on are free */
    struct core_conn conns[REP_CORE_CONNS];
    struct rep_action actions[REP_CORE_ACTIONS];
    size_t nactions;
};

/* ---- core_link.c ------------------------------------------------------ */

struct rep_action *core_emit(struct rep_core *core, enum rep_action_kind kind,
                             uint32_t conn);
void core_print(struct rep_core *core, enum rep_line line, uint32_t conn);

/* A random number; a random time between half of `ms` and all of it. */
uint64_t core_draw(struct rep_core *core);
uint64_t core_jitter(struct rep_core *core, uint32_t ms);

/* The only writer of a connection's state. */
void core_conn_set_state(struct rep_core *core, struct core_conn *c,
                         enum core_conn_state state);
struct core_conn *core_conn_find(struct rep_core *core, uint32_t id);
struct core_conn *core_conn_add(struct rep_core *core,
                                const struct rep_event *ev,
                                enum core_conn_state state);

/* Forgets an unproven or waiting connection; its dial failed with it.
 * `absent`: nobody is there. The next dial waits `at_least` ms. */
void core_conn_forget(struct rep_core *core, struct core_conn *c, bool absent,
                      uint32_t at_least);

/* The same, and closes it, with words if it said hello to us: by the action
 * returned. */
struct rep_action *core_conn_refuse(struct rep_core *core, struct core_conn *c,
                                    enum rep_refusal why);

/* The same, because there is no place. */
void core_turn_away(struct rep_core *core, struct core_conn *c);

bool core_said_hello_before(const struct rep_core *core, uint64_t addr);
void core_remember_hello(struct rep_core *core, uint64_t addr);
bool core_may_stay_silent(const struct rep_core *core,
                          const struct core_conn *c);

unsigned core_count_linked(const struct rep_core *core);

/* The configured peers that are others than ourselves. */
unsigned core_count_peers(const struct rep_core *core);

/* `c` is linked, and with that configured peer. */
bool core_is_link_of(const struct rep_core *core, const struct core_conn *c,
                     unsigned peer);

/* The link of that configured peer, NULL: none. `firm`: only one that is
 * surely its own. */
const struct core_conn *core_link_of(const struct rep_core *core, unsigned peer,
                                     bool firm);

/* `c` could have the place of `old`, if that one gave it up. For a stranger no
 * configured peer is even asked. */
bool core_competes(const struct rep_core *core, const struct core_conn *c,
                   const struct core_conn *old);

void core_note_copied(struct rep_core *core, const struct core_conn *c);
void core_say_listening(struct rep_core *core);
void core_dial_failed(struct rep_core *core, unsigned peer, bool absent,
                      uint32_t at_least);

/* `c` proved to be a peer: a place for it, if there is one. */
void core_admit(struct rep_core *core, struct core_conn *c, bool legacy);

/* Two connections of one run, `old` linked: keeps the one both ends keep. */
void core_keep_one(struct rep_core *core, struct core_conn *old,
                   struct core_conn *c);

/* A link has ended; the same, and closes it, by the action returned. */
void core_link_down(struct rep_core *core, struct core_conn *c);
struct rep_action *core_link_cut(struct rep_core *core, struct core_conn *c);
void core_begin_scan(struct rep_core *core, struct core_conn *c,
                     uint64_t version);

/* ---- core_time.c ------------------------------------------------------ */

void core_on_tick(struct rep_core *core);

/* What follows from the state: dials, serving, the timer. */
void core_plan(struct rep_core *core);

#endif
