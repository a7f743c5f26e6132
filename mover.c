#include "mover.h"

#include <stdatomic.h>

#include "automove.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/task.h"
#include "rebalance.h"
#include "settings.h"
#include "store_stats.h"
#include "watch.h"

#define MS       UINT64_C(1000000)
#define SECOND   (1000 * MS)
#define WAIT_MIN (MS / 20) /* for what is in use; doubles */
#define WAIT_MAX (5 * MS)
#define EAGER    (100 * MS) /* between looks for evictions, automove 2 */

enum { POOL = 0, ANY = -1, EAGER_MODE = 2 };

static uint64_t slice(void *ctx);

static struct task task = TASK_INIT("mc-slabmaint", slice, NULL);

/* A page that is to change its class. */
struct order {
    unsigned src, dst;
};

/* [Q] under the lock */
static struct {
    struct lock lock;
    bool asked;  /* for `order` */
    bool moving; /* a page is under way */
    struct order order;
} shared;

/* [w] the thread's own */
static struct {
    struct automove *automove;
    unsigned window;  /* it was made for */
    double ratio;     /* it went by */
    struct order now; /* what is moving */
    bool moving;
    bool failed;    /* the last one: nothing more before the next second */
    bool more;      /* a class gave what it did not need: it may have more */
    uint64_t pause; /* ns, while what is left is in use */
    uint64_t due;   /* ns: when the next sample is taken */
    struct automove_class class[STORE_CLASSES]; /* as of now */
    uint64_t evicted[STORE_CLASSES];            /* as of the last look */
} own;

struct tuning {
    int mode;
    unsigned window;
    double ratio;
};

static struct tuning tuning(void)
{
    struct tuning t;

    settings_take();
    t = (struct tuning){
        .mode = settings.slab_automove,
        .window = (unsigned)settings.slab_automove_window,
        .ratio = settings.slab_automove_ratio,
    };
    settings_drop();
    return t;
}

/* ---- asking ---------------------------------------------------------- */

static uint64_t pages_of(unsigned slab_class)
{
    struct store_totals totals;
    struct store_class_stats s;

    if (slab_class == POOL) {
        store_totals(&totals);
        return totals.pool_pages;
    }
    return store_class_stats(slab_class, &s) ? s.total_pages : 0;
}

/* A class but `dst` that has a page to give, another one each time. */
static unsigned any_class(unsigned dst)
{
    static atomic_uint turn;
    unsigned classes = store_class_max();

    for (unsigned i = 0; i < classes; i++) {
        unsigned n = atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed);
        unsigned c = 1 + n % classes;

        if (c != dst && pages_of(c) >= 2) {
            return c;
        }
    }
    return 0;
}

static bool exists(int32_t id)
{
    return id >= 0 && id <= (int32_t)store_class_max();
}

static enum mover_status check(int32_t src, int32_t dst, struct order *order)
{
    if (src == dst) {
        return MOVER_SAME;
    }
    if (src == ANY && exists(dst)) {
        src = (int32_t)any_class((unsigned)dst);
        src = src == 0 ? ANY : src;
    }
    if (!exists(src) || !exists(dst)) {
        return MOVER_BADCLASS;
    }
    if (pages_of((unsigned)src) < (src == POOL ? 1 : 2)) {
        return MOVER_NOSPARE;
    }
    *order = (struct order){(unsigned)src, (unsigned)dst};
    return MOVER_OK;
}

enum mover_status mover_ask(int32_t src, int32_t dst)
{
    struct order order;
    enum mover_status status;

    if (!settings.slab_reassign) {
        return MOVER_DISABLED;
    }
    if (mover_is_running()) {
        return MOVER_BUSY;
    }
    status = check(src, dst, &order);
    if (status != MOVER_OK) {
        return status;
    }
    lock_take(&shared.lock, LOCK_QUEUE);
    if (shared.asked || shared.moving) {
        status = MOVER_BUSY;
    } else {
        shared.asked = true;
        shared.order = order;
    }
    lock_drop(&shared.lock, LOCK_QUEUE);
    if (status == MOVER_OK) {
        task_kick(&task);
    }
    return status;
}

bool mover_is_running(void)
{
    bool running;

    lock_take(&shared.lock, LOCK_QUEUE);
    running = shared.moving || shared.asked;
    lock_drop(&shared.lock, LOCK_QUEUE);
    return running;
}

void mover_retune(void)
{
    task_kick(&task);
}

/* ---- moving ---------------------------------------------------------- */

/* Whether a page was asked for; from then on it is under way. */
static bool take_order(struct order *order)
{
    bool asked;

    lock_take(&shared.lock, LOCK_QUEUE);
    asked = shared.asked;
    *order = shared.order;
    shared.asked = false;
    shared.moving = asked;
    lock_drop(&shared.lock, LOCK_QUEUE);
    return asked;
}

static void set_moving(bool moving)
{
    own.moving = moving;
    lock_take(&shared.lock, LOCK_QUEUE);
    shared.moving = moving;
    lock_drop(&shared.lock, LOCK_QUEUE);
}

static void begin(struct order order)
{
    own.now = order;
    own.pause = WAIT_MIN;
    set_moving(rebalance_begin(order.src, order.dst));
    own.failed = !own.moving;
}

static uint64_t advance(void)
{
    switch (rebalance_step()) {
    case REBALANCE_MORE:
        own.pause = WAIT_MIN;
        return 0;
    case REBALANCE_WAIT:
        own.pause = own.pause < WAIT_MAX ? own.pause * 2 : WAIT_MAX;
        return own.pause;
    case REBALANCE_DONE:
        own.failed = false;
        break;
    case REBALANCE_FAILED:
        own.failed = true;
        break;
    }
    set_moving(false);
    if (watch_wanted(WATCH_SYSEVENTS)) {
        watch_event(WATCH_SYSEVENTS, "type=slab_move src=%u dst=%u state=%s",
                    own.now.src, own.now.dst, own.failed ? "fail" : "ok");
    }
    return 0;
}

/* ---- deciding -------------------------------------------------------- */

static void look(void)
{
    struct store_class_stats s;

    for (unsigned c = 1; c <= store_class_max(); c++) {
        if (store_class_stats(c, &s)) {
            own.class[c] = (struct automove_class){
                .evicted = s.evicted,
                .outofmemory = s.outofmemory,
                .pages = s.total_pages,
                .free_chunks = s.free_chunks,
                .per_page = s.chunks_per_page,
                .age = s.age,
            };
        }
    }
}

/* A change of what it goes by begins the window anew. */
static bool fit_window(const struct tuning *t)
{
    if (own.automove != NULL &&
        (own.window != t->window || own.ratio != t->ratio)) {
        automove_free(own.automove);
        own.automove = NULL;
    }
    if (own.automove == NULL) {
        own.automove = automove_new(store_class_max(), t->window);
        own.window = t->window;
        own.ratio = t->ratio;
    }
    return own.automove != NULL;
}

/* A page for whatever class evicted since the last look. */
static bool want_eager(struct order *order)
{
    bool wanted = false;

    for (unsigned c = 1; c <= store_class_max(); c++) {
        if (own.class[c].evicted > own.evicted[c] && !wanted) {
            *order = (struct order){any_class(c), c};
            wanted = order->src != 0;
        }
        own.evicted[c] = own.class[c].evicted;
    }
    return wanted;
}

/* The move that the window asks for; a class with free pages gives one after
 * the other, everything else is done once a second. */
static bool want_automove(const struct tuning *t, bool tick,
                          struct order *order)
{
    struct automove_move move;
    bool wanted;

    if (!fit_window(t)) {
        return false;
    }
    if (tick) {
        automove_sample(own.automove, own.class);
    }
    wanted = (tick || own.more) &&
             automove_decide(own.automove, own.class, rebalance_memory_full(),
                             t->ratio, &move) &&
             (tick || move.dst == POOL);
    if (wanted) {
        *order = (struct order){move.src, move.dst};
    }
    own.more = wanted && move.dst == POOL;
    return wanted;
}

/* What to move, if anything. */
static bool decide(const struct tuning *t, bool tick, struct order *order)
{
    look();
    if (rebalance_trim()) {
        /* Above a limit that was lowered. */
        *order =
            (struct order){automove_donor(own.class, store_class_max()), POOL};
        return order->src != 0;
    }
    return want_automove(t, tick, order) ||
           (t->mode == EAGER_MODE && want_eager(order));
}

/* Whether a second has gone by since the last time. */
static bool is_tick(void)
{
    uint64_t now = clock_mono().ns;

    if (now < own.due) {
        return false;
    }
    own.due = now + SECOND;
    return true;
}

static uint64_t slice(void *ctx)
{
    struct tuning t;
    struct order order;
    bool tick;

    (void)ctx;
    if (own.moving) {
        return advance();
    }
    if (take_order(&order)) {
        begin(order);
        return 0;
    }
    t = tuning();
    if (t.mode == 0) {
        return TASK_FOREVER;
    }
    tick = is_tick();
    own.failed = own.failed && !tick;
    if (!own.failed && decide(&t, tick, &order)) {
        begin(order);
        return 0;
    }
    return t.mode == EAGER_MODE ? EAGER : SECOND;
}

bool mover_start(void)
{
    own.due = clock_mono().ns + SECOND;
    return !settings.slab_reassign || task_start(&task);
}

void mover_stop(void)
{
    task_stop(&task);
    if (own.moving) {
        rebalance_cancel();
        set_moving(false);
    }
    automove_free(own.automove);
    own.automove = NULL;
}
