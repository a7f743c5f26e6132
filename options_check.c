#include "options.h"
#include "options_internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "base/util.h"
#include "options_access.h"
#include "settings.h"

enum { SLAB_SIZES_MAX = 62 };

/* ---- checks that need all options ---------------------------------- */

static void check_item_max(void)
{
    if (options_given.item_max >= 0) {
        settings.item_size_max = (size_t)options_given.item_max;
    }
    if (settings.item_size_max < KIB) {
        log_fatal(EX_USAGE, "Item max size cannot be less than 1024 bytes.\n");
    }
    if (settings.item_size_max > settings.maxbytes / 2) {
        log_fatal(EX_USAGE, "Cannot set item size limit higher than 1/2 of "
                            "memory max.\n");
    }
    if (settings.item_size_max > GIB) {
        log_fatal(EX_USAGE,
                  "Cannot set item size limit higher than a gigabyte.\n");
    }
}

static void check_chunk_max(void)
{
    size_t chunk = settings.slab_chunk_max;
    size_t item = settings.item_size_max;

    if (chunk > item) {
        log_fatal(EX_USAGE,
                  "slab_chunk_max (bytes: %zu) cannot be larger than -I "
                  "(item_size_max %zu)\n",
                  chunk, item);
    }
    if (item % chunk != 0) {
        log_fatal(EX_USAGE,
                  "-I (item_size_max: %zu) must be evenly divisible by "
                  "slab_chunk_max (bytes: %zu)\n",
                  item, chunk);
    }
    if (MIB % chunk != 0) {
        log_fatal(EX_USAGE,
                  "slab_chunk_max (bytes: %zu) must divide evenly into %zu "
                  "(slab_page_size)\n",
                  chunk, MIB);
    }
}

/* One size of slab_sizes, after `last`. */
static uint32_t check_slab_size(const char *p, size_t n, uint32_t last)
{
    uint32_t size = 0;

    if (!util_parse_u32(p, n, &size) || size < (uint32_t)settings.chunk_size ||
        size > settings.slab_chunk_max) {
        log_fatal(EX_USAGE, "slab size %u is out of valid range\n", size);
    }
    if (size <= last) {
        log_fatal(EX_USAGE,
                  "slab size %u cannot be lower than or equal to a previous "
                  "class size\n",
                  size);
    }
    if (last > 0 && size <= last + 8) {
        log_fatal(EX_USAGE,
                  "slab size %u must be at least 8 bytes larger than previous "
                  "class\n",
                  size);
    }
    return size;
}

static struct {
    uint32_t size[SLAB_SIZES_MAX];
    size_t n;
} slab_sizes;

size_t options_slab_sizes(const uint32_t **sizes)
{
    *sizes = slab_sizes.size;
    return slab_sizes.n;
}

static void check_slab_sizes(void)
{
    const char *p = options_given.slab_sizes;
    uint32_t last = 0;

    slab_sizes.n = 0;
    if (p == NULL) {
        return;
    }
    if (*p == '\0') {
        log_fatal(EX_USAGE, "Missing slab_sizes argument\n");
    }
    while (*p != '\0') {
        size_t len = strcspn(p, "-");

        last = check_slab_size(p, len, last);
        if (slab_sizes.n == SLAB_SIZES_MAX) {
            log_fatal(EX_USAGE, "too many slab classes specified\n");
        }
        slab_sizes.size[slab_sizes.n++] = last;
        p += len + (p[len] != '\0');
    }
}

static void check_queues(void)
{
    if (settings.hot_lru_pct + settings.warm_lru_pct > 80) {
        log_fatal(EX_USAGE, "hot_lru_pct + warm_lru_pct cannot be more than "
                            "80%% combined\n");
    }
    if (settings.temp_lru && !settings.lru_maintainer) {
        log_fatal(EX_USAGE,
                  "temporary_ttl requires lru_maintainer to be enabled\n");
    }
}

static void check_queues_of_card(void)
{
    if (settings.num_napi_ids > settings.num_threads) {
        log_fatal(EX_USAGE,
                  "Number of napi_ids(%d) cannot be greater than number of "
                  "threads(%d)\n",
                  settings.num_napi_ids, settings.num_threads);
    }
}

static void check_all(void)
{
    check_queues_of_card();
    check_item_max();
    check_chunk_max();
    check_slab_sizes();
    check_queues();
    options_check_access();
    if (settings.udpport != 0 && !settings.port_given) {
        settings.port = settings.udpport;
    }
    if (settings.port > PORT_MAX) {
        log_fatal(EX_USAGE, "ERROR: Invalid port number %d.\n", settings.port);
    }
    /* One worker serves a socket when -l names several. */
    settings.num_threads_per_udp =
        settings.inter != NULL && strchr(settings.inter, ',') != NULL
            ? 1
            : settings.num_threads;
}

static void warn(void)
{
    const struct option_row *row;

    for (size_t i = 0; (row = options_sub(i)) != NULL; i++) {
        if (row->idle != NULL && options_sub_given(i)) {
            log_print(0, "-o %s has no effect: %s.\n", row->name, row->idle);
        }
    }
}

void options_check(void)
{
    check_all();
    warn();
}
