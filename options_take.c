#include "options_internal.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "base/util.h"
#include "options_value.h"
#include "settings.h"

enum { MANY_THREADS = 64 };

void options_warn_of_threads(char *arg)
{
    (void)arg;
    if (settings.num_threads > MANY_THREADS) {
        log_print(0, "WARNING: Setting a high number of workerthreads is not "
                     "recommended.\n Set this value to the number of cores in "
                     "your machine or less.\n");
    }
}

void options_take_port(char *arg)
{
    (void)arg;
    settings.port_given = true;
}

void options_take_udp(char *arg)
{
    settings.udpport = options_number(arg, 10);
}

void options_take_listen(char *arg)
{
    if (!options_is_listed(settings.inter, arg)) {
        options_append(&settings.inter, arg);
    }
}

void options_take_verbose(char *arg)
{
    (void)arg; /* --verbose=3 is still one more */
    log_verbosity++;
}

void options_take_delimiter(char *arg)
{
    if (arg[0] == '\0') {
        log_fatal(EXIT_FAILURE, "No delimiter specified\n");
    }
    settings.prefix_delimiter = arg[0];
    settings.detail_enabled = true;
}

void options_take_protocol(char *arg)
{
    settings.binding_given = true;
    if (strcmp(arg, "auto") == 0) {
        settings.binding_protocol = SETTINGS_AUTO;
    } else if (strcmp(arg, "ascii") == 0) {
        settings.binding_protocol = SETTINGS_ASCII;
    } else if (strcmp(arg, "binary") == 0) {
        settings.binding_protocol = SETTINGS_BINARY;
    } else {
        log_fatal(EX_USAGE,
                  "Invalid value for binding protocol: %s\n"
                  " -- should be one of auto, binary, or ascii\n",
                  arg);
    }
}

void options_take_item_max(char *arg)
{
    size_t len = strlen(arg);
    char suffix = len > 0 ? arg[len - 1] : '\0';
    long unit = 1;
    long v;

    if (suffix == 'k' || suffix == 'K') {
        unit = (long)KIB;
    } else if (suffix == 'm' || suffix == 'M') {
        unit = (long)MIB;
    }
    v = (long)options_number(arg, 10) * unit;
    options_given.item_max = v < 0 ? 0 : v > INT_MAX ? INT_MAX : (int)v;
}

static bool parse_port(const char *p, size_t n, int *port)
{
    uint32_t v;

    if (!util_parse_u32(p, n, &v) || v < 1 || v > PORT_MAX) {
        return false;
    }
    *port = (int)v;
    return true;
}

void options_take_rep_ports(char *arg)
{
    size_t n = strcspn(arg, ":");
    const char *connect = arg[n] == ':' ? arg + n + 1 : arg;

    if (!parse_port(arg, n, &settings.rep_listen_port) ||
        !parse_port(connect, strlen(connect), &settings.rep_connect_port)) {
        log_fatal(EX_USAGE,
                  "-X: \"%s\" is not a replication port, <num> or "
                  "<listen:connect>.\n"
                  "Dumping is disabled by --disable-dumping alone.\n",
                  arg);
    }
}

/* ---- the suboptions of -o ------------------------------------------ */

void options_take_chunk_max(char *arg)
{
    uint32_t kib = options_strict_number(arg, "slab_chunk_max");

    if (kib == 0) {
        log_fatal(EXIT_FAILURE, "slab_chunk_max must be >= 0\n");
    }
    if (kib > 1024) {
        log_fatal(EXIT_FAILURE,
                  "slab_chunk_max must be specified in kilobytes.\n");
    }
    settings.slab_chunk_max = kib * KIB;
    options_given.chunk_max = true;
}

void options_take_unchunked(char *arg)
{
    (void)arg;
    settings.slab_chunk_max = MIB;
}

void options_take_no_modern(char *arg)
{
    if (!options_given.chunk_max) {
        settings.slab_chunk_max = MIB;
    }
    settings.slab_reassign = false;
    settings.maxconns_fast = false;
    settings.lru_crawler = false;
    options_take_no_automove(arg);
    options_take_no_maintainer(arg);
}

void options_take_rep_log(char *arg)
{
    settings.rep_log = options_size(arg, "rep_log");
}

void options_take_rep_floors(char *arg)
{
    settings.rep_floors = options_size(arg, "rep_floors");
}

void options_take_rep_copy_rate(char *arg)
{
    settings.rep_copy_rate = options_size(arg, "rep_copy_rate");
}

void options_say_deprecated(char *arg)
{
    (void)arg;
    log_print(0, "DEPRECATED: resp_obj_mem_limit no longer used. "
                 "See read_buf_mem_limit,\n");
}

/* What is no number is ignored, as in stock. */
void options_take_cookie(char *arg)
{
    uint32_t v;

    if (util_parse_u32(arg, strlen(arg), &v)) {
        settings.sock_cookie_id = v;
    }
}

void options_take_hashpower(char *arg)
{
    int power = options_number(arg, 10);

    if (power < 12) {
        log_fatal(EXIT_FAILURE,
                  "Initial hashtable multiplier of %d is too low\n", power);
    }
    if (power > 32) {
        log_fatal(EXIT_FAILURE,
                  "Initial hashtable multiplier of %d is too high\n"
                  "Choose a value based on \"STAT hash_power_level\" from a "
                  "running instance\n",
                  power);
    }
    settings.hashpower_init = power;
}

void options_take_hash_algorithm(char *arg)
{
    if (strcmp(arg, "jenkins") != 0 && strcmp(arg, "murmur3") != 0 &&
        strcmp(arg, "xxh3") != 0) {
        log_fatal(EXIT_FAILURE, "Unknown hash_algorithm option (jenkins, "
                                "murmur3, xxh3)\n");
    }
}

void options_take_automove(char *arg)
{
    int mode = arg[0] == '\0' ? 1 : options_number(arg, 10);

    if (mode < 0 || mode > 2) {
        log_fatal(EXIT_FAILURE, "slab_automove must be between 0 and 2\n");
    }
    settings.slab_automove = mode;
}

void options_take_no_automove(char *arg)
{
    (void)arg;
    settings.slab_automove = 0;
}

void options_take_maintainer(char *arg)
{
    (void)arg;
    settings.lru_maintainer = true;
    settings.lru_segmented = true;
}

void options_take_no_maintainer(char *arg)
{
    (void)arg;
    settings.lru_maintainer = false;
    settings.lru_segmented = false;
}

void options_take_tocrawl(char *arg)
{
    uint32_t v;

    if (!util_parse_u32(arg, strlen(arg), &v)) {
        log_fatal(EXIT_FAILURE,
                  "lru_crawler_tocrawl takes a numeric 32bit value\n");
    }
    settings.lru_crawler_tocrawl = v;
}

void options_take_temporary_ttl(char *arg)
{
    settings.temp_lru = true;
    settings.temporary_ttl = (unsigned)options_number(arg, 10);
}

void options_take_slab_sizes(char *arg)
{
    options_given.slab_sizes = arg;
}

void options_take_read_buf_limit(char *arg)
{
    settings.read_buf_mem_limit =
        (size_t)options_strict_number(arg, "read_buf_mem_limit") * MIB;
}

static size_t logbuf_size(const char *arg, const char *name)
{
    return (size_t)options_strict_number(arg, name) * KIB;
}

void options_take_watcher_logbuf(char *arg)
{
    settings.watcher_logbuf_size = logbuf_size(arg, "watcher_logbuf_size");
}

void options_take_worker_logbuf(char *arg)
{
    settings.worker_logbuf_size = logbuf_size(arg, "worker_logbuf_size");
}
