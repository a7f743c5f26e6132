/* The network: connections of two pipes. A pipe takes bytes up to its room and
 * gives them in any cut; what is sent arrives in order or, when the connection
 * is reset, from some byte on not at all. In a hole nothing arrives, not even
 * an end, until it is gone. */
#include <assert.h>
#include <string.h>

#include "bits.h"
#include "sim.h"

#define PIPE_MAX (128 * KIB)

struct pipe {
    size_t at, len, room;
    bool fin;  /* its end follows the bytes */
    bool lost; /* what is sent from now on never arrives */
    char *buf;
};

static char bytes[SIM_CONNS][2][PIPE_MAX];

static struct conn {
    bool accepted;
    unsigned node[2];
    bool open[2];        /* the node has not closed its end */
    struct pipe pipe[2]; /* [i]: from end i */
} conns[SIM_CONNS];

static uint64_t used; /* bit per connection */

static enum sim_path paths[SIM_NODES][SIM_NODES];

void sim_net_reset(void)
{
    used = 0;
    for (unsigned i = 0; i < SIM_CONNS; i++) {
        conns[i].pipe[0].buf = bytes[i][0];
        conns[i].pipe[1].buf = bytes[i][1];
    }
    memset(paths, 0, sizeof(paths));
}

void sim_net_path(unsigned a, unsigned b, enum sim_path path)
{
    paths[a][b] = paths[b][a] = path;
}

enum sim_path sim_net_path_of(unsigned a, unsigned b)
{
    return paths[a][b];
}

static void pipe_reset(struct pipe *p)
{
    static const size_t rooms[] = {64, 200, 1000, 5000};

    p->at = p->len = 0;
    p->fin = p->lost = false;
    p->room = sim_has(SIM_SLOW) ? rooms[sim_below(4)] : PIPE_MAX;
    /* The first line has to fit at once. */
    p->room = p->room < WIRE_HELLO_MAX ? WIRE_HELLO_MAX : p->room;
}

int sim_net_connect(unsigned from, unsigned to)
{
    int i = sim_first_bit(~used);
    struct conn *c;

    if (i < 0) {
        return -1;
    }
    c = &conns[i];
    used |= UINT64_C(1) << i;
    c->accepted = false;
    c->node[0] = from;
    c->node[1] = to;
    c->open[0] = c->open[1] = true;
    pipe_reset(&c->pipe[0]);
    pipe_reset(&c->pipe[1]);
    return i;
}

static bool is_used(unsigned conn)
{
    return (used >> conn & 1) != 0;
}

static void give_back(unsigned conn)
{
    used &= ~(UINT64_C(1) << conn);
}

unsigned sim_net_peer(unsigned conn, unsigned end)
{
    return conns[conn].node[1 - end];
}

static void pipe_put(struct pipe *p, const char *from, size_t n)
{
    if (p->at + p->len + n > PIPE_MAX) {
        memmove(p->buf, p->buf + p->at, p->len);
        p->at = 0;
    }
    memcpy(p->buf + p->at + p->len, from, n);
    p->len += n;
}

size_t sim_net_write(unsigned conn, unsigned end, const struct iovec *iov,
                     unsigned n)
{
    struct pipe *p = &conns[conn].pipe[end];
    size_t written = 0;

    for (unsigned i = 0; i < n && p->len < p->room; i++) {
        size_t room = p->room - p->len;
        size_t part = iov[i].iov_len < room ? iov[i].iov_len : room;

        if (!p->lost) {
            pipe_put(p, iov[i].iov_base, part);
        }
        written += part;
    }
    return written;
}

void sim_net_close(unsigned conn, unsigned end)
{
    struct conn *c = &conns[conn];

    assert(is_used(conn) && c->open[end]);
    c->open[end] = false;
    c->pipe[1 - end].len = 0; /* nobody reads it any more */
    c->pipe[1 - end].lost = true;
    c->pipe[end].fin = true;
    if (c->pipe[end].len > 0 && sim_chance(50)) {
        c->pipe[end].len = sim_below((unsigned)c->pipe[end].len); /* reset */
    }
    if (!c->open[1 - end]) {
        give_back(conn);
    }
}

/* Both ends will read a reset, after what arrives of the bytes before it. */
static void reset(struct conn *c)
{
    for (unsigned i = 0; i < 2; i++) {
        struct pipe *p = &c->pipe[i];

        p->len = sim_below((unsigned)p->len + 1);
        p->fin = p->lost = true;
    }
}

void sim_net_cut(unsigned a, unsigned b)
{
    for (unsigned i = 0; i < SIM_CONNS; i++) {
        struct conn *c = &conns[i];

        if (is_used(i) && ((c->node[0] == a && c->node[1] == b) ||
                           (c->node[0] == b && c->node[1] == a))) {
            reset(c);
        }
    }
}

void sim_net_died(unsigned node, bool hole)
{
    for (unsigned i = 0; i < SIM_CONNS; i++) {
        struct conn *c = &conns[i];

        for (unsigned end = 0; is_used(i) && end < 2; end++) {
            if (c->node[end] != node || !c->open[end]) {
                continue;
            }
            c->open[end] = false;
            c->pipe[1 - end].len = 0;
            c->pipe[1 - end].lost = true;
            c->pipe[end].len = sim_below((unsigned)c->pipe[end].len + 1);
            c->pipe[end].fin = !hole;
            if (!c->open[1 - end]) {
                give_back(i);
            }
        }
    }
}

/* What end `end` can be given: 0 nothing, 1 something. */
static bool has_something(const struct conn *c, unsigned end)
{
    const struct pipe *p = &c->pipe[1 - end];

    return c->open[end] && paths[c->node[0]][c->node[1]] != SIM_PATH_HOLE &&
           (p->len > 0 || p->fin || (end == 1 && !c->accepted));
}

static bool give(unsigned i, unsigned end, bool all)
{
    struct conn *c = &conns[i];
    struct pipe *p = &c->pipe[1 - end];
    unsigned node = c->node[end];
    struct rep_link *link;
    struct iovec room;
    size_t n;

    sim_select(node)->idle_at = 0;
    if (end == 1 && !c->accepted) {
        c->accepted = true;
        if (!sim_node_accept(node, i, c->node[0])) {
            sim_net_close(i, end);
        }
        return true;
    }
    link = sim_node_link(node, i, end);
    assert(link != NULL);
    if (p->len == 0) {
        rep_link_fail(link, NULL);
        sim_node_settle(node);
        return true;
    }
    if (!rep_link_reads(link)) {
        return false;
    }
    room = rep_link_room(link);
    n = all ? p->len : 1 + sim_below((unsigned)p->len);
    n = n < room.iov_len ? n : room.iov_len;
    if (p->len >= p->room) {
        sim_nodes[c->node[1 - end]].idle_at = 0; /* it may write again */
    }
    memcpy(room.iov_base, p->buf + p->at, n);
    p->at += n;
    p->len -= n;
    rep_link_got(link, n, sim_now * 1000000);
    sim_node_settle(node);
    return true;
}

static bool try_end(unsigned conn, unsigned end, bool all)
{
    return is_used(conn) && has_something(&conns[conn], end) &&
           give(conn, end, all);
}

/* Begins at some end of some connection and goes round. */
bool sim_net_deliver(bool all)
{
    unsigned begin = sim_below(SIM_CONNS * 2);
    unsigned first = begin / 2, end = begin % 2;
    uint64_t before = used & ((UINT64_C(1) << first) - 1);
    uint64_t rest[] = {used & ~before & ~(UINT64_C(1) << first), before};

    if (try_end(first, end, all) || (end == 0 && try_end(first, 1, all))) {
        return true;
    }
    for (unsigned half = 0; half < 2; half++) {
        for (int i; (i = sim_first_bit(rest[half])) >= 0;) {
            rest[half] &= rest[half] - 1;
            if (try_end((unsigned)i, 0, all) || try_end((unsigned)i, 1, all)) {
                return true;
            }
        }
    }
    return end == 1 && try_end(first, 0, all);
}

bool sim_net_is_quiet(void)
{
    for (unsigned i = 0; i < SIM_CONNS; i++) {
        if (is_used(i) &&
            (has_something(&conns[i], 0) || has_something(&conns[i], 1))) {
            return false;
        }
    }
    return true;
}
