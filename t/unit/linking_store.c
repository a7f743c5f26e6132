/* The store's side of t/unit/linking.h. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_stats.h"
#include "t/unit/linking.h"

static uint64_t store_value(const char *name, const char *value, size_t n,
                            uint32_t exptime)
{
    struct store_key key = store_key(name, strlen(name));
    struct store_attrs attrs = {0, exptime};
    uint64_t cas = 0;

    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, value, n, &cas),
                     STORE_OK);
    return cas;
}

uint64_t set_until(const char *name, const char *value, uint32_t exptime)
{
    return store_value(name, value, strlen(value), exptime);
}

uint64_t set(const char *name, const char *value)
{
    return set_until(name, value, 0);
}

uint64_t set_large(const char *name, size_t n)
{
    char *value = malloc(n);
    uint64_t version;

    ck_assert_ptr_nonnull(value);
    memset(value, 'x', n);
    version = store_value(name, value, n, 0);
    free(value);
    return version;
}

uint64_t set_many(const char *prefix, unsigned n)
{
    char name[64];
    uint64_t version = 0;

    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "%s-%u", prefix, i);
        version = set(name, "x");
    }
    return version;
}

void delete_key(const char *name)
{
    struct store_key key = store_key(name, strlen(name));

    (void)!store_delete(&key, 0, NULL);
}

void touch(const char *name, uint32_t exptime)
{
    struct store_key key = store_key(name, strlen(name));
    struct item *it = store_touch_hold(&key, exptime, NULL);

    ck_assert_ptr_nonnull(it);
    store_release(it);
}

const char *get(const char *name)
{
    static char value[256];
    struct store_key key = store_key(name, strlen(name));
    struct item *it = store_hold(&key, NULL);

    if (it == NULL) {
        return "none";
    }
    if (it->nbytes < sizeof(value)) {
        (void)snprintf(value, sizeof(value), "%.*s", (int)it->nbytes,
                       item_data(it));
    } else {
        (void)snprintf(value, sizeof(value), "%u bytes", it->nbytes);
    }
    store_release(it);
    return value;
}

uint64_t floor_of(const char *name)
{
    return rep_floor_get(floors, hash_key_agreed(name, strlen(name)));
}

uint64_t head(void)
{
    return rep_log_head(rlog);
}

uint64_t chunks_used(void)
{
    struct store_class_stats st;
    uint64_t n = 0;

    for (unsigned i = 1; i <= store_class_max(); i++) {
        n += store_class_stats(i, &st) ? st.used_chunks : 0;
    }
    return n;
}
