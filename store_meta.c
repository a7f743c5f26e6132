#include "store_meta.h"

#include "store_internal.h"

/* ---- storing ---- */

static bool joins(const struct store_terms *t)
{
    return t->mode == STORE_APPEND || t->mode == STORE_PREPEND;
}

/* Whether a value may be stored beside `old` (or NULL); *marked: as stale. */
static enum store_status terms_allow(const struct store_terms *t,
                                     const struct item *old, bool *marked)
{
    uint64_t present;

    *marked = false;
    if (!t->compare || t->mode == STORE_ADD) {
        return store_mode_allows(t->mode, old);
    }
    if (old == NULL) {
        return STORE_NOT_FOUND;
    }
    present = item_cas(old);
    if (t->cas == 0 || t->cas > present) {
        return STORE_EXISTS;
    }
    *marked = t->cas < present;
    return *marked && !t->older ? STORE_EXISTS : STORE_OK;
}

static struct store_new new_of(const struct store_key *key,
                               const struct store_terms *t, size_t n)
{
    return (struct store_new){.key = key,
                              .attrs = t->attrs,
                              .bits = (t->b64key ? ITEM_B64KEY : 0U) |
                                      (t->new_cas != 0 ? ITEM_HAS_CAS : 0U),
                              .nbytes = n};
}

/* Marks that a stale item has, whatever it replaces. */
static unsigned marks_beside(const struct item *old)
{
    return ITEM_STALE | (old->bits & ITEM_TOKEN_SENT);
}

static enum store_status refuse(const struct store_key *key,
                                enum store_status why)
{
    (void)!store_delete(key, 0, NULL);
    return why;
}

enum store_status store_reserve_on(const struct store_key *key,
                                   const struct store_terms *terms, size_t n,
                                   struct item **out)
{
    struct store_new new = new_of(key, terms, n);

    if (store_too_large(&new)) {
        return refuse(key, STORE_TOO_LARGE);
    }
    *out = store_make(&new);
    return *out == NULL ? refuse(key, STORE_NO_MEMORY) : STORE_OK;
}

/* Links a filled item; it is the caller's unless OK. */
static enum store_status link_on(struct item *it, const struct store_key *key,
                                 const struct store_terms *t,
                                 struct store_stored *stored)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(key->hv));
    struct item *old = store_live_locked(s, key, NULL);
    bool marked;
    enum store_status status = terms_allow(t, old, &marked);

    if (status == STORE_OK && marked) {
        it->exptime = old->exptime;
        it->bits |= (uint16_t)marks_beside(old);
    }
    item_set_cas(it, t->new_cas);
    if (status == STORE_OK && !store_link_local_locked(s, key, old, it)) {
        status = STORE_NO_MEMORY;
    }
    if (status == STORE_OK) {
        *stored = (struct store_stored){item_cas(it), it->nbytes};
    } else if (status == STORE_NOT_STORED && old != NULL) {
        lru_hit(old); /* a refused add warms what is there */
    }
    assoc_drop(s);
    return status;
}

/* Joins `it` to what is there; where nothing is, and that is allowed, links
 * it. It is the caller's unless *linked. */
static enum store_status join_on(struct item *it, const struct store_key *key,
                                 const struct store_terms *t,
                                 struct store_stored *stored, bool *linked)
{
    struct store_terms add = *t;
    enum store_status status = store_concat(key, t, it, stored);

    *linked = false;
    if (status != STORE_NOT_STORED || !t->vivify) {
        return status;
    }
    add.mode = STORE_ADD;
    it->exptime = t->vivify_exptime;
    status = link_on(it, key, &add, stored);
    *linked = status == STORE_OK;
    /* Somebody else was first, or there is no room to join the two. */
    return status == STORE_NOT_STORED ? store_concat(key, t, it, stored)
                                      : status;
}

enum store_status store_commit_on(struct item *it, const struct store_key *key,
                                  const struct store_terms *terms,
                                  struct store_stored *stored)
{
    enum store_status status;
    bool linked;

    store_filled(it);
    if (joins(terms)) {
        status = join_on(it, key, terms, stored, &linked);
    } else {
        status = link_on(it, key, terms, stored);
        linked = status == STORE_OK;
    }
    if (!linked) {
        store_cancel(it);
    }
    return status == STORE_NO_MEMORY ? refuse(key, status) : status;
}

/* Writes over the present item where that is possible. false: the long way. */
static bool set_in_place(const struct store_new *n, const struct store_terms *t,
                         const void *value, struct store_stored *stored)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(n->key->hv));
    struct item *old = store_live_locked(s, n->key, NULL);
    struct store_new new = *n;
    bool marked;
    bool fits = old != NULL && terms_allow(t, old, &marked) == STORE_OK &&
                store_fits_in_place(old, n);

    if (fits) {
        if (marked) {
            new.attrs.exptime = old->exptime;
            new.bits |= marks_beside(old);
        }
        store_overwrite_locked(old, &new, value);
        item_set_cas(old, t->new_cas);
        store_record_item_locked(n->key, old);
        *stored = (struct store_stored){item_cas(old), n->nbytes};
    }
    assoc_drop(s);
    return fits;
}

enum store_status store_set_on(const struct store_key *key,
                               const struct store_terms *terms,
                               const void *value, size_t n,
                               struct store_stored *stored)
{
    struct store_new new = new_of(key, terms, n);
    enum store_status status;
    struct item *it;
    size_t filled = 0;

    if ((terms->mode == STORE_SET || terms->mode == STORE_REPLACE) &&
        !store_too_large(&new) && set_in_place(&new, terms, value, stored)) {
        return STORE_OK;
    }
    status = store_reserve_on(key, terms, n, &it);
    if (status != STORE_OK) {
        return status;
    }
    if (!store_fill(it, &filled, value, n)) {
        store_cancel(it);
        return refuse(key, STORE_NO_MEMORY);
    }
    return store_commit_on(it, key, terms, stored);
}

/* ---- looking up ---- */

/* Never of what has no end. */
static bool ends_before(uint32_t exptime, uint32_t threshold)
{
    return exptime != 0 && exptime < threshold;
}

static bool wins(const struct item *it, const struct store_fetch *f)
{
    uint32_t exptime =
        f->touch && f->recache_touched ? f->exptime : it->exptime;

    return (it->bits & ITEM_TOKEN_SENT) == 0 &&
           ((it->bits & ITEM_STALE) != 0 ||
            (f->recache && ends_before(exptime, f->threshold)));
}

bool store_fetch_changes(const struct item *it, const struct store_fetch *fetch)
{
    return (fetch->touch && fetch->exptime != it->exptime) || wins(it, fetch);
}

struct store_fetched store_fetch_seen(const struct item *it)
{
    return (struct store_fetched){
        .why = STORE_HIT,
        .sent = (it->bits & ITEM_TOKEN_SENT) != 0,
        .stale = (it->bits & ITEM_STALE) != 0,
        .exptime = it->exptime,
    };
}

/* Changes the item, held, as far as it is to be. false: no room for that. */
static bool change_locked(struct item *it, const struct store_key *key,
                          const struct store_fetch *f, bool won)
{
    uint32_t exptime = f->touch ? f->exptime : it->exptime;

    if (won) {
        return store_change_quietly_locked(it, key, ITEM_TOKEN_SENT, exptime);
    }
    return store_touch_locked(it, key, exptime);
}

/* No memory to keep the cas that clients know: they get another one. */
static void change_openly_locked(struct item *it, const struct store_key *key,
                                 const struct store_fetch *f, bool won)
{
    it->version = store_record_locked(STORE_OP_ITEM, key, it, 0, 0);
    it->exptime = f->touch ? f->exptime : it->exptime;
    it->bits |= won ? ITEM_TOKEN_SENT : 0;
    it->bits &= (uint16_t)~ITEM_TOUCHED;
}

/* Makes an empty item whose maker is to fill it, and returns it held. NULL:
 * somebody else was first, or there is no memory. */
static struct item *make_won(const struct store_key *key,
                             const struct store_fetch *f, bool *no_memory)
{
    struct store_new new = {.key = key,
                            .attrs = {.exptime = f->vivify_exptime},
                            .bits = ITEM_TOKEN_SENT |
                                    (f->vivify_cas != 0 ? ITEM_HAS_CAS : 0U)};
    struct item *it = store_make(&new);
    struct assoc_stripe *s;
    bool there;

    *no_memory = it == NULL;
    if (it == NULL) {
        return NULL;
    }
    item_set_cas(it, f->vivify_cas);
    s = assoc_take(assoc_stripe_of(key->hv));
    there = store_live_locked(s, key, NULL) != NULL;
    if (!there && store_link_local_locked(s, key, NULL, it)) {
        return it;
    }
    *no_memory = !there;
    assoc_drop(s);
    store_cancel(it);
    return NULL;
}

struct item *store_fetch_hold(const struct store_key *key,
                              const struct store_fetch *fetch,
                              struct store_fetched *fetched)
{
    bool no_memory = false;

    for (;;) {
        enum store_miss why;
        struct item *it = store_hold(key, &why);
        bool won;

        if (it == NULL) {
            *fetched = (struct store_fetched){.why = why};
            if (!fetch->vivify) {
                return NULL;
            }
            it = make_won(key, fetch, &fetched->no_memory);
            if (it == NULL && !fetched->no_memory) {
                continue;
            }
            fetched->made = fetched->won = it != NULL;
            return it;
        }
        *fetched = store_fetch_seen(it);
        fetched->won = won = wins(it, fetch);
        if (!store_fetch_changes(it, fetch) ||
            change_locked(it, key, fetch, won)) {
            return it;
        }
        if (no_memory) {
            change_openly_locked(it, key, fetch, won);
            return it;
        }
        no_memory = !store_cas_room(it, key);
    }
}

/* ---- removing, marking ---- */

static bool is_other(const struct item *it, const struct store_mark *mark)
{
    return mark->compare && mark->cas != item_cas(it);
}

/* Marks the item, held, as stale. false: no room for the cas it is to have. */
static bool mark_locked(struct item *it, const struct store_key *key,
                        const struct store_mark *mark)
{
    if (mark->new_cas != 0 && !store_cas_room_locked(it)) {
        return false;
    }
    it->version = store_record_locked(STORE_OP_ITEM, key, it, 0, 0);
    item_set_cas(it, mark->new_cas);
    it->bits |= ITEM_STALE;
    it->bits &= (uint16_t) ~(ITEM_TOKEN_SENT | ITEM_TOUCHED);
    if (mark->touch) {
        it->exptime = mark->exptime;
    }
    return true;
}

static enum store_status mark_stale(const struct store_key *key,
                                    const struct store_mark *mark,
                                    struct store_found *found)
{
    for (;;) {
        enum store_miss why;
        struct item *it = store_hold(key, &why);
        bool other;

        store_tell(found, why, it);
        if (it == NULL) {
            return STORE_NOT_FOUND;
        }
        other = is_other(it, mark);
        if (other || mark_locked(it, key, mark)) {
            store_release(it);
            return other ? STORE_EXISTS : STORE_OK;
        }
        if (!store_cas_room(it, key)) {
            return STORE_NO_MEMORY;
        }
    }
}

/* Puts an empty item, with room for a cas, in the place of what is there. It
 * is the caller's unless OK. */
static enum store_status link_empty(struct item *it,
                                    const struct store_key *key,
                                    const struct store_mark *mark,
                                    struct store_found *found)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(key->hv));
    enum store_miss why;
    struct item *old = store_live_locked(s, key, &why);
    enum store_status status = STORE_NOT_FOUND;
    uint64_t kept;

    store_tell(found, why, old);
    if (old != NULL && is_other(old, mark)) {
        status = STORE_EXISTS;
    } else if (old != NULL) {
        kept = mark->stale ? 0 : item_stored_cas(old);
        item_set_cas(it, mark->new_cas != 0 ? mark->new_cas : kept);
        it->bits |= old->bits & ITEM_B64KEY;
        status = store_link_local_locked(s, key, old, it) ? STORE_OK
                                                          : STORE_NOT_STORED;
    }
    assoc_drop(s);
    return status;
}

static enum store_status mark_empty(const struct store_key *key,
                                    const struct store_mark *mark,
                                    struct store_found *found)
{
    struct store_new new = {
        .key = key,
        .attrs = {.flags = mark->flags,
                  .exptime = mark->touch ? mark->exptime : 0},
        .bits = ITEM_HAS_CAS | (mark->stale ? ITEM_STALE : 0U),
    };
    struct item *it = store_make(&new);
    enum store_status status;

    if (it == NULL) {
        store_tell(found, STORE_ABSENT, NULL);
        return STORE_NO_MEMORY;
    }
    status = link_empty(it, key, mark, found);
    if (status != STORE_OK) {
        store_cancel(it);
    }
    return status;
}

enum store_status store_mark(const struct store_key *key,
                             const struct store_mark *mark,
                             struct store_found *found)
{
    if (mark->empty) {
        return mark_empty(key, mark, found);
    }
    if (mark->stale) {
        return mark_stale(key, mark, found);
    }
    return store_delete_if(key, mark->compare ? &mark->cas : NULL, found);
}
