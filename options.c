#include "options.h"

#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "base/product.h"
#include "base/util.h"
#include "options_value.h"
#include "settings.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#ifdef ENABLE_REPLICATION
#define IS_PAIR true
#else
#define IS_PAIR false
#endif

enum kind {
    INT,     /* leading digits, as atoi reads them; 0 without any */
    MEBI,    /* the same in megabytes */
    OCTAL,   /* the same in base 8 */
    FLOAT,   /* as atof */
    TEXT,    /* borrowed from argv */
    LIST,    /* appended with a comma; the value may have commas itself */
    ON,      /* no argument: the setting becomes true */
    OFF,     /* no argument: the setting becomes false */
    CALL,    /* whatever .call makes of it */
    NOTHING, /* accepted */
    REFUSED, /* its feature is not built in */
};

enum build { ANY, PAIR, PLAIN };

enum { KEY_DUMPING = 256, ROW_WIDTH = 26, SHORT_WIDTH = 14 };
enum { PORT_MAX = 65535, MANY_THREADS = 64, SLAB_SIZES_MAX = 62 };

struct row {
    int key;          /* letter; 0: a suboption */
    const char *name; /* long name; NULL: none */
    const char *arg;  /* what -h calls the argument; NULL: none */
    enum kind kind;
    enum build build;        /* where the option exists */
    size_t offset;           /* of the setting */
    void (*call)(char *arg); /* CALL */
    int min, max;            /* INT with .bad */
    double above, most;      /* FLOAT with .bad; most 0: no limit */
    const char *missing;     /* suboptions: said without a value */
    const char *bad;         /* said when out of range; REFUSED: what is
                              * not built in */
    const char *idle;        /* why it changes nothing here */
    const char *help;        /* %s: the present value; NULL: unlisted */
};

#define FIELD(field)  .offset = offsetof(struct settings, field)
#define RANGE(lo, hi) .min = (lo), .max = (hi)
#define OPT(k, n, a, what, ...)                                                \
    {                                                                          \
        .key = (k), .name = (n), .arg = (a), .kind = (what), __VA_ARGS__       \
    }
#define SUB(n, what, ...)                                                      \
    {                                                                          \
        .name = (n), .kind = (what), __VA_ARGS__                               \
    }

#define IDLE_MOVER "pages stay with the class that took them"
#define IDLE_CRAWLER                                                           \
    "nothing crawls: what expired goes first when room is needed"
#define IDLE_QUEUES "eviction follows S3-FIFO, see hot_lru_pct"

static void take_udp(char *arg);
static void take_listen(char *arg);
static void take_verbose(char *arg);
_Noreturn static void show_help(char *arg);
_Noreturn static void show_license(char *arg);
_Noreturn static void show_version(char *arg);
static void take_delimiter(char *arg);
static void take_protocol(char *arg);
static void take_item_max(char *arg);
static void take_suboptions(char *arg);
static void take_rep_ports(char *arg);
static void take_chunk_max(char *arg);
static void take_unchunked(char *arg);
static void take_no_modern(char *arg);
static void take_rep_log(char *arg);
static void take_rep_floors(char *arg);
static void say_deprecated(char *arg);
static void take_hashpower(char *arg);
static void take_hash_algorithm(char *arg);
static void take_automove(char *arg);
static void take_no_automove(char *arg);
static void take_maintainer(char *arg);
static void take_no_maintainer(char *arg);
static void take_tocrawl(char *arg);
static void take_temporary_ttl(char *arg);
static void take_slab_sizes(char *arg);
static void take_read_buf_limit(char *arg);

static const struct row letters[] = {
#include "options.def"
};

#define OPTIONS_SUB
static const struct row subs[] = {
#include "options.def"
};

static struct {
    bool idle[ARRAY_LEN(subs)]; /* suboptions given that change nothing */
    bool chunk_max_given;
    const char *slab_sizes; /* checked when all else is known */
    int item_max;           /* -I as read, checked at the end */
} given = {.item_max = -1};

static bool in_this_build(const struct row *row)
{
    return row->build == ANY || (row->build == PAIR) == IS_PAIR;
}

static char no_argument_text[] = "";

/* ---- one option ---------------------------------------------------- */

static void take_float(const struct row *row, const char *arg, double *field)
{
    double v = strtod(arg, NULL);

    if (row->bad != NULL &&
        (!(v > row->above) || (row->most > 0 && v > row->most))) {
        log_fatal(EXIT_FAILURE, "%s\n", row->bad);
    }
    *field = v;
}

static void take_int(const struct row *row, const char *arg, int *field)
{
    int v = options_number(arg, 10);

    if (row->bad != NULL && (v < row->min || v > row->max)) {
        log_fatal(EXIT_FAILURE, "%s\n", row->bad);
    }
    *field = v;
}

_Noreturn static void refuse(const struct row *row, const char *text)
{
    if (row->key == 0) {
        log_fatal(EX_USAGE,
                  "This server is not built with support for -o %.*s.\n",
                  (int)strcspn(text, "="), text);
    }
    log_fatal(EX_USAGE, "This server is not built with %s%s.\n",
              row->bad[0] == '-' ? "support for " : "", row->bad);
}

/* Sets what `row` stands for; `arg` is "" without an argument. */
static void take(const struct row *row, char *arg)
{
    void *field = (char *)&settings + row->offset;

    switch (row->kind) {
    case INT:
        take_int(row, arg, field);
        break;
    case MEBI:
        /* A negative number becomes a limit that is never reached. */
        *(size_t *)field = (size_t)options_number(arg, 10) * MIB;
        break;
    case OCTAL:
        *(int *)field = options_number(arg, 8);
        break;
    case FLOAT:
        take_float(row, arg, field);
        break;
    case TEXT:
        *(const char **)field = arg;
        break;
    case LIST:
        options_append(field, arg);
        break;
    case ON:
        *(bool *)field = true;
        break;
    case OFF:
        *(bool *)field = false;
        break;
    case CALL:
        row->call(arg);
        break;
    case REFUSED:
        refuse(row, arg);
    case NOTHING:
        break;
    }
}

static void take_udp(char *arg)
{
    if (options_number(arg, 10) != 0) {
        log_fatal(EX_USAGE, "This server is not built with UDP support: "
                            "-U (--udp-port) must be 0.\n");
    }
}

static void take_listen(char *arg)
{
    if (!options_is_listed(settings.inter, arg)) {
        options_append(&settings.inter, arg);
    }
}

static void take_verbose(char *arg)
{
    (void)arg; /* --verbose=3 is still one more */
    log_verbosity++;
}

static void take_delimiter(char *arg)
{
    if (arg[0] == '\0') {
        log_fatal(EXIT_FAILURE, "No delimiter specified\n");
    }
    settings.prefix_delimiter = arg[0];
    settings.detail_enabled = true;
}

static void take_protocol(char *arg)
{
    if (strcmp(arg, "auto") == 0) {
        settings.binding_protocol = 0;
    } else if (strcmp(arg, "ascii") == 0) {
        settings.binding_protocol = 1;
    } else if (strcmp(arg, "binary") == 0) {
        log_fatal(EX_USAGE, "This server is not built with support for "
                            "the binary protocol (-B binary).\n");
    } else {
        log_fatal(EX_USAGE,
                  "Invalid value for binding protocol: %s\n"
                  " -- should be one of auto, binary, or ascii\n",
                  arg);
    }
}

static void take_item_max(char *arg)
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
    given.item_max = v < 0 ? 0 : v > INT_MAX ? INT_MAX : (int)v;
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

static void take_rep_ports(char *arg)
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

static void take_chunk_max(char *arg)
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
    given.chunk_max_given = true;
}

static void take_unchunked(char *arg)
{
    (void)arg;
    settings.slab_chunk_max = MIB;
}

static void take_no_modern(char *arg)
{
    if (!given.chunk_max_given) {
        settings.slab_chunk_max = MIB;
    }
    settings.slab_reassign = false;
    settings.maxconns_fast = false;
    settings.lru_crawler = false;
    take_no_automove(arg);
    take_no_maintainer(arg);
}

static void take_rep_log(char *arg)
{
    settings.rep_log = options_size(arg, "rep_log");
}

static void take_rep_floors(char *arg)
{
    settings.rep_floors = options_size(arg, "rep_floors");
}

static void say_deprecated(char *arg)
{
    (void)arg;
    log_print(0, "DEPRECATED: resp_obj_mem_limit no longer used. "
                 "See read_buf_mem_limit,\n");
}

static void take_hashpower(char *arg)
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

static void take_hash_algorithm(char *arg)
{
    if (strcmp(arg, "jenkins") != 0 && strcmp(arg, "murmur3") != 0 &&
        strcmp(arg, "xxh3") != 0) {
        log_fatal(EXIT_FAILURE, "Unknown hash_algorithm option (jenkins, "
                                "murmur3, xxh3)\n");
    }
}

static void take_automove(char *arg)
{
    int mode = arg[0] == '\0' ? 1 : options_number(arg, 10);

    if (mode < 0 || mode > 2) {
        log_fatal(EXIT_FAILURE, "slab_automove must be between 0 and 2\n");
    }
    settings.slab_automove = mode;
}

static void take_no_automove(char *arg)
{
    (void)arg;
    settings.slab_automove = 0;
}

static void take_maintainer(char *arg)
{
    (void)arg;
    settings.lru_maintainer = true;
    settings.lru_segmented = true;
}

static void take_no_maintainer(char *arg)
{
    (void)arg;
    settings.lru_maintainer = false;
    settings.lru_segmented = false;
}

static void take_tocrawl(char *arg)
{
    uint32_t v;

    if (!util_parse_u32(arg, strlen(arg), &v)) {
        log_fatal(EXIT_FAILURE,
                  "lru_crawler_tocrawl takes a numeric 32bit value\n");
    }
    settings.lru_crawler_tocrawl = v;
}

static void take_temporary_ttl(char *arg)
{
    settings.temp_lru = true;
    settings.temporary_ttl = (unsigned)options_number(arg, 10);
}

static void take_slab_sizes(char *arg)
{
    given.slab_sizes = arg;
}

static void take_read_buf_limit(char *arg)
{
    settings.read_buf_mem_limit =
        (size_t)options_strict_number(arg, "read_buf_mem_limit") * MIB;
}

/* The row of `text`, NAME or NAME=VALUE, or NULL. */
static const struct row *find_sub(const char *text)
{
    size_t n = strcspn(text, "=,");

    for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
        size_t len = strlen(subs[i].name);
        bool prefix = subs[i].name[len - 1] == '_';

        if ((n == len || (prefix && n > len)) &&
            memcmp(subs[i].name, text, len) == 0 && in_this_build(&subs[i])) {
            return &subs[i];
        }
    }
    return NULL;
}

static void take_suboption(char *text)
{
    const struct row *row = find_sub(text);
    char *value = strchr(text, '=');

    if (row == NULL) {
        log_print(0, "Illegal suboption \"%s\"\n", text);
        exit(EXIT_FAILURE);
    }
    if (row->kind == REFUSED) {
        refuse(row, text);
    }
    if (value == NULL && row->missing != NULL) {
        log_fatal(EXIT_FAILURE, "%s\n", row->missing);
    }
    take(row, value != NULL ? value + 1 : no_argument_text);
    given.idle[row - subs] = row->idle != NULL;
}

/* The end of the suboption that begins at `p`: a comma, but for one after which
 * the list that is its value goes on. */
static char *end_of(char *p)
{
    const struct row *row = find_sub(p);
    bool list = row != NULL && row->kind == LIST && p[strcspn(p, "=,")] == '=';
    char *end = p + strcspn(p, ",");

    while (list && *end != '\0' && find_sub(end + 1) == NULL) {
        end += 1 + strcspn(end + 1, ",");
    }
    return end;
}

static void take_suboptions(char *arg)
{
    char *end;

    /* Cut where it stands: settings may point into argv. */
    for (char *p = arg; *p != '\0'; p = end) {
        end = end_of(p);
        if (*end != '\0') {
            *end++ = '\0';
        }
        take_suboption(p);
    }
}

static const char license_text[] =
#include "license.def"
    ;

/* ---- -h, -i, -V ---------------------------------------------------- */

static void print_version(void)
{
    (void)printf("memcached %s\n", PRODUCT_BASE_VERSION);
    if (IS_PAIR) {
        (void)printf("repcached %s\n", PRODUCT_VERSION);
    }
}

/* What %s stands for in the help of `row`. */
static void print_value(const struct row *row)
{
    const void *field = (const char *)&settings + row->offset;

    if (row->kind == INT) {
        (void)printf("%d", *(const int *)field);
    } else if (row->kind == MEBI) {
        (void)printf("%zu", *(const size_t *)field / MIB);
    } else if (row->kind == OCTAL) {
        (void)printf("%o", (unsigned)*(const int *)field);
    } else if (row->kind == FLOAT) {
        (void)printf("%.2f", *(const double *)field);
    }
}

/* The help of `row` behind `used` characters, in a column `width` wide. */
static void print_help(const struct row *row, int used, int width)
{
    (void)printf("%*s", used < width ? width - used : 1, "");
    for (const char *p = row->help; *p != '\0'; p++) {
        if (p[0] == '%' && p[1] == 's') {
            print_value(row);
            p++;
        } else if (*p == '\n') {
            (void)printf("\n%*s", width, "");
        } else {
            (void)putchar(*p);
        }
    }
    (void)putchar('\n');
}

static void print_letter(const struct row *row)
{
    const char *arg = row->arg != NULL ? row->arg : "";
    int used;

    if (row->name == NULL) {
        used = printf("-%c %s", row->key, arg);
        print_help(row, used, SHORT_WIDTH);
        return;
    }
    used = row->key == KEY_DUMPING ? 0 : printf("-%c, ", row->key);
    used += printf("--%s%s%s", row->name, *arg != '\0' ? "=" : "", arg);
    print_help(row, used, ROW_WIDTH);
}

static void print_subs(void)
{
    for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
        if (subs[i].help != NULL && in_this_build(&subs[i])) {
            print_help(&subs[i], printf("   - %s:", subs[i].name), ROW_WIDTH);
        }
    }
}

_Noreturn static void show_help(char *arg)
{
    (void)arg;
    print_version();
    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        if (letters[i].help != NULL && in_this_build(&letters[i])) {
            print_letter(&letters[i]);
        }
        if (letters[i].key == 'o') {
            print_subs();
        }
    }
    exit(EXIT_SUCCESS);
}

_Noreturn static void show_license(char *arg)
{
    (void)arg;
    print_version();
    (void)fputs(license_text, stdout);
    exit(EXIT_SUCCESS);
}

_Noreturn static void show_version(char *arg)
{
    (void)arg;
    print_version();
    exit(EXIT_SUCCESS);
}

/* ---- checks that need all options ---------------------------------- */

static void check_item_max(void)
{
    if (given.item_max >= 0) {
        settings.item_size_max = (size_t)given.item_max;
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

static void check_slab_sizes(void)
{
    const char *p = given.slab_sizes;
    uint32_t last = 0;
    int n = 0;

    if (p == NULL) {
        return;
    }
    if (*p == '\0') {
        log_fatal(EX_USAGE, "Missing slab_sizes argument\n");
    }
    while (*p != '\0') {
        size_t len = strcspn(p, "-");

        last = check_slab_size(p, len, last);
        if (++n > SLAB_SIZES_MAX) {
            log_fatal(EX_USAGE, "too many slab classes specified\n");
        }
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

static void check_all(void)
{
    check_item_max();
    check_chunk_max();
    check_slab_sizes();
    check_queues();
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
    if (settings.num_threads > MANY_THREADS) {
        log_print(0, "WARNING: Setting a high number of workerthreads is not "
                     "recommended.\n Set this value to the number of cores in "
                     "your machine or less.\n");
    }
    for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
        if (given.idle[i]) {
            log_print(0, "-o %s has no effect: %s.\n", subs[i].name,
                      subs[i].idle);
        }
    }
}

/* ---- the whole line ------------------------------------------------ */

enum { LONG_ROOM = ARRAY_LEN(letters) + 1 };

/* Makes the two tables of getopt_long from ours. */
static void make_tables(char *shorts, struct option *longs)
{
    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        const struct row *row = &letters[i];
        int has_arg = row->arg != NULL ? required_argument : no_argument;

        if (!in_this_build(row)) {
            continue;
        }
        if (row->key < KEY_DUMPING) {
            *shorts++ = (char)row->key;
        }
        if (row->arg != NULL) {
            *shorts++ = ':';
        }
        if (row->name != NULL) {
            *longs++ = (struct option){
                row->name, row->key == 'v' ? optional_argument : has_arg, NULL,
                row->key};
        }
    }
    *shorts = '\0';
    *longs = (struct option){NULL, 0, NULL, 0};
}

static const struct row *find_letter(int key)
{
    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        if (letters[i].key == key && in_this_build(&letters[i])) {
            return &letters[i];
        }
    }
    return NULL;
}

void options_parse(int argc, char **argv)
{
    char shorts[2 * ARRAY_LEN(letters) + 1];
    struct option longs[LONG_ROOM];
    int key;

    make_tables(shorts, longs);
    while ((key = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        const struct row *row = find_letter(key);
        char *arg = optarg != NULL ? optarg : no_argument_text;

        if (row == NULL && IS_PAIR && optopt == 'X') {
            take_rep_ports(no_argument_text);
        }
        if (row == NULL) {
            log_fatal(EXIT_FAILURE, "Illegal argument \"%c\"\n", key);
        }
        while (isspace((unsigned char)*arg)) {
            arg++;
        }
        take(row, arg);
    }
    check_all();
    warn();
}

void options_fini(void)
{
    options_drop_lists();
}
