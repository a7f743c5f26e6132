/* The command line, a word a line or up to a NUL: it ends the process with one
 * of its codes, or what the daemon starts with keeps to the ranges. Within it
 * the lists of -o: their pieces and the commas between them are the list again,
 * each is the suboption that its name says, and only those whose value is a
 * list contain commas. */
#include <getopt.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "listen_spec.h"
#include "options.h"
#include "options_internal.h"
#include "settings.h"

enum { WORDS_MAX = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
_Noreturn void __wrap_exit(int code);
_Noreturn void __real_exit(int code);

static jmp_buf out;
static bool parsing;
static int ended_with;

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* The parser ends the process: here, only itself. */
void __wrap_exit(int code)
{
    if (!parsing) {
        __real_exit(code);
    }
    ended_with = code;
    longjmp(out, 1);
}

/* ---- the list of -o ----------------------------------------------------- */

static void check_piece(const char *piece)
{
    const struct option_row *row = options_find_sub(piece);
    size_t n = strcspn(piece, "=");

    demand(strchr(piece, ',') == NULL || (row != NULL && row->kind == LIST));
    if (row != NULL) {
        size_t len = strlen(row->name);

        demand(len <= n && memcmp(row->name, piece, len) == 0);
        demand(len == n || row->name[len - 1] == '_');
        demand(row->key == 0 && option_in_build(row));
    }
}

static void check_list(char *list)
{
    const char *end = list + strlen(list);

    while (*list != '\0') {
        const char *expected = list;
        char *piece = options_cut_sub(&list);
        size_t n = strlen(piece);

        demand(piece == expected && list <= end);
        demand(list == piece + n || list == piece + n + 1);
        demand(list > piece);
        check_piece(piece);
    }
    demand(list == end);
}

/* ---- the whole line ----------------------------------------------------- */

/* Each element of -l, as listen.c takes them. */
static void check_listen(const char *text)
{
    struct listen_text list = {text, text == NULL ? 0 : strlen(text)};
    struct listen_text element, fault;
    struct listen_spec spec;

    while (list.len > 0 && listen_spec_next(&list, &element)) {
        if (listen_spec_parse(element, &spec, &fault) == LISTEN_SPEC_OK) {
            demand(spec.host.len <= element.len);
        }
    }
}

static void check_sizes(void)
{
    const uint32_t *size;
    size_t n = options_slab_sizes(&size);

    for (size_t i = 0; i < n; i++) {
        demand(size[i] >= (uint32_t)settings.chunk_size);
        demand(size[i] <= settings.slab_chunk_max);
        demand(i == 0 || size[i] > size[i - 1] + 8);
    }
    demand(settings.item_size_max >= KIB && settings.item_size_max <= GIB);
    demand(settings.item_size_max <= settings.maxbytes / 2);
    demand(settings.slab_chunk_max > 0 && settings.slab_chunk_max <= MIB);
    demand(settings.item_size_max % settings.slab_chunk_max == 0);
    demand(settings.chunk_size > 0 && settings.growth_factor > 1);
}

static void check_settings(void)
{
    check_sizes();
    check_listen(settings.inter);
    demand(settings.num_threads > 0 && settings.num_threads_per_udp > 0);
    demand(settings.num_napi_ids <= settings.num_threads);
    demand(settings.maxconns > 0 && settings.reqs_per_event > 0);
    demand(settings.port <= PORT_MAX);
    demand(settings.hot_lru_pct > 0 && settings.warm_lru_pct > 0);
    demand(settings.hot_lru_pct + settings.warm_lru_pct <= 80);
    demand(settings.slab_automove >= 0 && settings.slab_automove <= 2);
    demand(settings.slab_automove_ratio > 0);
    demand(settings.lru_crawler_sleep >= 0);
    demand(settings.ssl_min_version >= 0 && settings.ssl_min_version <= 3);
    demand(!settings.sasl || settings.binding_protocol == SETTINGS_BINARY);
    demand(settings.auth_file == NULL ||
           settings.binding_protocol == SETTINGS_ASCII);
    demand(!settings.ssl_enabled || settings.port != 0);
}

/* True: the daemon would start. */
static bool parse(int argc, char **argv)
{
    FILE *said[2] = {stdout, stderr};
    volatile bool started = false;

    optind = 0; /* getopt starts over */
    stdout = stderr = fopen("/dev/null", "w");
    demand(stdout != NULL);
    parsing = true;
    if (setjmp(out) == 0) {
        options_parse(argc, argv);
        started = true;
    }
    parsing = false;
    (void)fclose(stdout); /* nobody reads it */
    stdout = said[0];
    stderr = said[1];
    return started;
}

static void check_line(int argc, char **argv)
{
    static struct settings first;
    static bool known;

    if (!known) {
        first = settings;
        known = true;
    }
    settings = first;
    options_given = (struct options_given){.item_max = -1};
    atomic_store(&log_verbosity, 0);
    if (parse(argc, argv)) {
        check_settings();
    } else {
        demand(ended_with == EXIT_SUCCESS || ended_with == EXIT_FAILURE ||
               ended_with == EX_USAGE);
    }
    options_fini();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char program[] = "memcached";
    char *argv[WORDS_MAX + 2] = {program};
    char *text = malloc(size + 1); /* its end is seen by the sanitizer */
    char *list = malloc(size + 1);
    int argc = 1;

    demand(text != NULL && list != NULL);
    memcpy(text, data, size);
    memcpy(list, data, size);
    text[size] = list[size] = '\0';
    check_list(list);
    for (char *p = text; p <= text + size && argc <= WORDS_MAX;
         p += strlen(p) + 1) {
        p[strcspn(p, "\n")] = '\0';
        argv[argc++] = p;
    }
    argv[argc] = NULL;
    check_line(argc, argv);
    free(text);
    free(list);
    return 0;
}
