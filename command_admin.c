#include "command_admin.h"

#include <string.h>

#include "crawler.h"
#include "mover.h"
#include "proto/text.h"
#include "reply.h"
#include "settings.h"
#include "store.h"
#include "store_stats.h"

enum {
    WORDS_MAX = 22, /* that a line is split into, without the verb */
    PCT_MAX = 80,   /* hot and warm together */
    AUTOMOVE_MAX = 2,
    WINDOW_MIN = 3,
    WINDOW_MAX = 1800,
    SLEEP_MAX = 1000000, /* microseconds */
};

static const char ok[] = "OK";
static const char error[] = "ERROR";
static const char bad_format[] = "CLIENT_ERROR bad command line format";

struct word {
    const char *p;
    size_t n;
};

/* The words behind the verb, a noreply included. */
struct words {
    struct word word[WORDS_MAX];
    unsigned n;
};

static void split(const struct request *req, struct words *words)
{
    struct request args = *req;
    struct word *w = words->word;

    words->n = 0;
    while (words->n < WORDS_MAX && text_next_key(&args, &w->p, &w->n)) {
        words->n++;
        w++;
    }
}

/* Every sub-command may be cut short. */
static bool begins(const struct word *w, const char *name)
{
    return w->n <= strlen(name) && memcmp(w->p, name, w->n) == 0;
}

static bool as_u32(const struct word *w, uint32_t *out)
{
    return util_parse_u32(w->p, w->n, out);
}

static bool as_double(const struct word *w, double *out)
{
    return util_parse_double(w->p, w->n, out);
}

/* A sub-command: gives the line to answer with. */
struct row {
    const char *name;
    unsigned least, most; /* words, its own included */
    const char *(*run)(const struct words *words);
};

#define ANY_NUMBER WORDS_MAX

/* Runs the first row that the first word may mean. */
static void dispatch(struct command *cmd, int fd, const struct request *req,
                     const struct row *rows, size_t n)
{
    struct words words;
    const char *answer = error;

    split(req, &words);
    for (size_t i = 0; words.n > 0 && i < n; i++) {
        if (begins(&words.word[0], rows[i].name)) {
            if (words.n >= rows[i].least && words.n <= rows[i].most) {
                answer = rows[i].run(&words);
            }
            break;
        }
    }
    reply_text(cmd, fd, req->noreply, answer);
}

#define DISPATCH(cmd, fd, req, rows)                                           \
    dispatch((cmd), (fd), (req), (rows), sizeof(rows) / sizeof((rows)[0]))

/* ---- slabs ----------------------------------------------------------- */

static const char *automove_window(const struct words *words)
{
    uint32_t v;

    if (words->n < 3 || !as_u32(&words->word[2], &v)) {
        return bad_format;
    }
    if (v < WINDOW_MIN || v > WINDOW_MAX) {
        return "CLIENT_ERROR automove window too low or too high";
    }
    settings_take();
    settings.slab_automove_window = (int)v;
    settings_drop();
    mover_retune();
    return ok;
}

/* freeratio belongs to external storage, and changes nothing. */
static const char *automove_ratio(const struct words *words, bool kept)
{
    double v;

    if (words->n < 3 || !as_double(&words->word[2], &v)) {
        return error;
    }
    settings_take();
    settings.slab_automove_ratio = kept ? v : settings.slab_automove_ratio;
    settings_drop();
    return ok;
}

static const char *slabs_automove(const struct words *words)
{
    const struct word *w = &words->word[1];
    uint32_t v;

    if (begins(w, "ratio") || begins(w, "freeratio")) {
        return automove_ratio(words, begins(w, "ratio"));
    }
    if (begins(w, "window")) {
        return automove_window(words);
    }
    if (!as_u32(w, &v)) {
        return bad_format;
    }
    if (v > AUTOMOVE_MAX) {
        return error;
    }
    settings_take();
    settings.slab_automove = (int)v;
    settings_drop();
    mover_retune();
    return ok;
}

static const char *slabs_reassign(const struct words *words)
{
    static const char *const answers[] = {
        [MOVER_OK] = "OK",
        [MOVER_BUSY] = "BUSY currently processing reassign request",
        [MOVER_BADCLASS] = "BADCLASS invalid src or dst class id",
        [MOVER_NOSPARE] = "NOSPARE source class has no spare pages",
        [MOVER_SAME] = "SAME src and dst class are identical",
        [MOVER_DISABLED] = "CLIENT_ERROR slab reassignment disabled",
    };
    const struct word *w = words->word;
    int32_t src, dst;

    if (!settings.slab_reassign) {
        return answers[MOVER_DISABLED];
    }
    if (!util_parse_s32(w[1].p, w[1].n, &src) ||
        !util_parse_s32(w[2].p, w[2].n, &dst)) {
        return bad_format;
    }
    return answers[mover_ask(src, dst)];
}

void admin_slabs(struct command *cmd, int fd, const struct request *req)
{
    static const struct row rows[] = {
        {"reassign", 3, 3, slabs_reassign},
        {"automove", 2, ANY_NUMBER, slabs_automove},
    };

    DISPATCH(cmd, fd, req, rows);
}

/* ---- lru ------------------------------------------------------------- */

static const char *lru_tune(const struct words *words)
{
    uint32_t hot, warm;
    double hot_factor, warm_factor;

    if (!as_u32(&words->word[1], &hot) || !as_u32(&words->word[2], &warm) ||
        !as_double(&words->word[3], &hot_factor) ||
        !as_double(&words->word[4], &warm_factor)) {
        return error;
    }
    if (hot > PCT_MAX || warm > PCT_MAX - hot) {
        return "ERROR hot and warm pcts must not exceed 80";
    }
    if (!(hot_factor > 0) || !(warm_factor > 0)) {
        return "ERROR hot/warm age factors must be greater than 0";
    }
    settings_take();
    settings.hot_lru_pct = (int)hot;
    settings.warm_lru_pct = (int)warm;
    settings.hot_max_factor = hot_factor;
    settings.warm_max_factor = warm_factor;
    settings_drop();
    store_set_hot_pct(hot);
    return ok;
}

/* Shown by `stats settings`; S3-FIFO has one mode. */
static const char *lru_mode(const struct words *words)
{
    const struct word *w = &words->word[1];
    bool flat = begins(w, "flat");

    if (!settings.lru_maintainer || !(flat || begins(w, "segmented"))) {
        return error;
    }
    settings_take();
    settings.lru_segmented = !flat;
    settings_drop();
    return ok;
}

static const char *lru_temp_ttl(const struct words *words)
{
    const struct word *w = &words->word[1];
    int32_t ttl;

    if (!settings.lru_maintainer || !util_parse_s32(w->p, w->n, &ttl)) {
        return error;
    }
    settings_take();
    settings.temp_lru = ttl >= 0;
    if (ttl >= 0) {
        settings.temporary_ttl = (unsigned)ttl;
    }
    settings_drop();
    store_set_temp_ttl(ttl);
    return ok;
}

void admin_lru(struct command *cmd, int fd, const struct request *req)
{
    static const struct row rows[] = {
        {"tune", 5, ANY_NUMBER, lru_tune},
        {"mode", 2, ANY_NUMBER, lru_mode},
        {"temp_ttl", 2, ANY_NUMBER, lru_temp_ttl},
    };

    DISPATCH(cmd, fd, req, rows);
}

/* ---- lru_crawler ----------------------------------------------------- */

static const char *crawler_sleep(const struct words *words)
{
    uint32_t v;

    if (!as_u32(&words->word[1], &v)) {
        return bad_format;
    }
    if (v > SLEEP_MAX) {
        return "CLIENT_ERROR sleep must be one second or less";
    }
    settings_take();
    settings.lru_crawler_sleep = (int)v;
    settings_drop();
    return ok;
}

static const char *crawler_tocrawl(const struct words *words)
{
    uint32_t v;

    if (!as_u32(&words->word[1], &v)) {
        return bad_format;
    }
    settings_take();
    settings.lru_crawler_tocrawl = v;
    settings_drop();
    return ok;
}

static const char *crawler_switch_on(const struct words *words)
{
    (void)words;
    return crawler_enable() ? ok : "ERROR failed to start lru crawler thread";
}

static const char *crawler_switch_off(const struct words *words)
{
    (void)words;
    crawler_disable();
    return ok;
}

/* The classes of a list, `all` or 1,2,..., as bits; false: one is none. */
static bool parse_classes(const struct word *w, uint64_t *classes)
{
    const char *p = w->p, *end = w->p + w->n;

    *classes = w->n == 3 && memcmp(w->p, "all", 3) == 0 ? ~UINT64_C(1) : 0;
    while (*classes != ~UINT64_C(1) && p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        size_t n = (size_t)((comma != NULL ? comma : end) - p);
        uint32_t v;

        if (n > 0 &&
            (!util_parse_u32(p, n, &v) || v == 0 || v >= STORE_CLASSES)) {
            return false;
        }
        if (n > 0) {
            *classes |= UINT64_C(1) << v;
        }
        p += n + (comma != NULL);
    }
    return true;
}

static const char *crawler_go(const struct words *words)
{
    static const char *const answers[] = {
        [CRAWLER_OK] = "OK",
        [CRAWLER_BUSY] = "BUSY currently processing crawler request",
        [CRAWLER_NOT_STARTED] = "NOTSTARTED no items to crawl",
        [CRAWLER_DISABLED] = "CLIENT_ERROR lru crawler disabled",
    };
    const struct word *w = &words->word[1];
    uint64_t classes;

    if (!crawler_is_enabled()) {
        return answers[CRAWLER_DISABLED];
    }
    if (w->n == 4 && memcmp(w->p, "hash", 4) == 0) {
        return "ERROR an unknown error happened";
    }
    if (!parse_classes(w, &classes)) {
        return "BADCLASS invalid class id";
    }
    return answers[crawler_crawl(classes)];
}

void admin_lru_crawler(struct command *cmd, int fd, const struct request *req)
{
    static const struct row rows[] = {
        {"enable", 1, 1, crawler_switch_on},
        {"disable", 1, 1, crawler_switch_off},
        {"sleep", 2, 2, crawler_sleep},
        {"tocrawl", 2, 2, crawler_tocrawl},
        {"crawl", 2, 2, crawler_go},
    };

    DISPATCH(cmd, fd, req, rows);
}

/* ---- extstore: accepted, since there is none to tune ------------------ */

static bool is_extstore_number(const struct word *w)
{
    static const char *const names[] = {
        "item_size",     "item_age",   "low_ttl",   "recache_rate",
        "compact_under", "drop_under", "max_sleep", "drop_unread",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (begins(w, names[i])) {
            return true;
        }
    }
    return false;
}

static bool extstore_accepts(const struct words *words)
{
    const struct word *w = words->word;
    uint32_t v;
    double factor;

    if (words->n < 2) {
        return false;
    }
    if (begins(w, "free_memchunks")) {
        return words->n >= 3 && as_u32(w + 1, &v) && v < STORE_CLASSES &&
               as_u32(w + 2, &v);
    }
    if (is_extstore_number(w)) {
        return as_u32(w + 1, &v);
    }
    return begins(w, "max_frag") && as_double(w + 1, &factor);
}

void admin_extstore(struct command *cmd, int fd, const struct request *req)
{
    struct words words;

    split(req, &words);
    reply_text(cmd, fd, req->noreply, extstore_accepts(&words) ? ok : error);
}
