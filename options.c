#include "options.h"

#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "base/util.h"
#include "options_internal.h"
#include "options_value.h"
#include "settings.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

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

#ifdef HAVE_SECCOMP
#define IDLE_SECCOMP       NULL
#define HELP_SECCOMP(text) (text)
#else
#define IDLE_SECCOMP       "this server is not built with seccomp"
#define HELP_SECCOMP(text) NULL
#endif
#define IDLE_QUEUES "eviction follows S3-FIFO, see hot_lru_pct"

static void options_take_suboptions(char *arg);

static const struct option_row letters[] = {
#include "options.def"
};

#define OPTIONS_SUB
static const struct option_row subs[] = {
#include "options.def"
};

struct options_given options_given = {.item_max = -1};

static bool sub_given[ARRAY_LEN(subs)];

static char no_argument_text[] = "";

const struct option_row *options_letter(size_t i)
{
    return i < ARRAY_LEN(letters) ? &letters[i] : NULL;
}

const struct option_row *options_sub(size_t i)
{
    return i < ARRAY_LEN(subs) ? &subs[i] : NULL;
}

bool options_sub_given(size_t i)
{
    return sub_given[i];
}

/* ---- one option ---------------------------------------------------- */

static void take_float(const struct option_row *row, const char *arg,
                       double *field)
{
    double v = strtod(arg, NULL);

    if (row->bad != NULL &&
        (!(v > row->above) || (row->most > 0 && v > row->most))) {
        log_fatal(EXIT_FAILURE, "%s\n", row->bad);
    }
    *field = v;
}

static void take_int(const struct option_row *row, const char *arg, int *field)
{
    int v = options_number(arg, 10);

    if (row->bad != NULL && (v < row->min || v > row->max)) {
        log_fatal(EXIT_FAILURE, "%s\n", row->bad);
    }
    *field = v;
}

_Noreturn static void refuse(const struct option_row *row, const char *text)
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
static void take(const struct option_row *row, char *arg)
{
    void *field = (char *)&settings + row->offset;

    switch (row->kind) {
    case INT:
        take_int(row, arg, field);
        if (row->call != NULL) {
            row->call(arg);
        }
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
const struct option_row *options_find_sub(const char *text)
{
    size_t n = strcspn(text, "=,");

    for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
        size_t len = strlen(subs[i].name);
        bool prefix = subs[i].name[len - 1] == '_';

        if ((n == len || (prefix && n > len)) &&
            memcmp(subs[i].name, text, len) == 0 && option_in_build(&subs[i])) {
            return &subs[i];
        }
    }
    return NULL;
}

static void take_suboption(char *text)
{
    const struct option_row *row = options_find_sub(text);
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
    sub_given[row - subs] = true;
}

/* The end of the suboption that begins at `p`: a comma, but for one after which
 * the list that is its value goes on. */
static char *end_of(char *p)
{
    const struct option_row *row = options_find_sub(p);
    bool list = row != NULL && row->kind == LIST && p[strcspn(p, "=,")] == '=';
    char *end = p + strcspn(p, ",");

    while (list && *end != '\0' && options_find_sub(end + 1) == NULL) {
        end += 1 + strcspn(end + 1, ",");
    }
    return end;
}

char *options_cut_sub(char **list)
{
    char *text = *list;
    char *end = end_of(text);

    *list = end;
    if (*end != '\0') {
        *end = '\0';
        (*list)++;
    }
    return text;
}

static void options_take_suboptions(char *arg)
{
    while (*arg != '\0') {
        take_suboption(options_cut_sub(&arg));
    }
}

/* ---- the whole line ------------------------------------------------ */

enum { LONG_ROOM = ARRAY_LEN(letters) + 1 };

/* Makes the two tables of getopt_long from ours. */
static void make_tables(char *shorts, struct option *longs)
{
    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        const struct option_row *row = &letters[i];
        int has_arg = row->arg != NULL ? required_argument : no_argument;

        if (!option_in_build(row)) {
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

static const struct option_row *find_letter(int key)
{
    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        if (letters[i].key == key && option_in_build(&letters[i])) {
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
        const struct option_row *row = find_letter(key);
        char *arg = optarg != NULL ? optarg : no_argument_text;

        if (row == NULL && IS_PAIR && optopt == 'X') {
            options_take_rep_ports(no_argument_text);
        }
        if (row == NULL) {
            log_fatal(EXIT_FAILURE, "Illegal argument \"%c\"\n", key);
        }
        while (isspace((unsigned char)*arg)) {
            arg++;
        }
        take(row, arg);
    }
    options_check();
}

void options_fini(void)
{
    options_drop_lists();
}
