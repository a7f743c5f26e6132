/* The metadata of a restart: what parses is written and read again alike. */
#include <stdlib.h>
#include <string.h>

#include "restart_meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* What is reported lies in the text. */
struct text {
    const char *p;
    size_t n;
};

static void check_report(void *ctx, enum restart_meta_report what,
                         const char *part, size_t n)
{
    const struct text *text = ctx;

    (void)what;
    demand(part >= text->p && n <= text->n && part <= text->p + text->n - n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text text = {(const char *)data, size};
    char again[RESTART_META_MAX], value[RESTART_META_TEXT];
    struct restart_meta meta, back;

    if (restart_meta_parse(text.p, text.n, &meta, check_report, &text) !=
        RESTART_META_OK) {
        return 0;
    }
    demand(restart_meta_differs(&meta, &meta, value) == NULL);
    text = (struct text){again, restart_meta_format(again, &meta)};
    demand(text.n < RESTART_META_MAX);
    demand(restart_meta_parse(text.p, text.n, &back, check_report, &text) ==
           RESTART_META_OK);
    demand(restart_meta_differs(&meta, &back, value) == NULL);
    demand(meta.pages == back.pages && meta.tail == back.tail &&
           meta.tail_hash == back.tail_hash && meta.stamp == back.stamp &&
           meta.current_cas == back.current_cas);
    return 0;
}
