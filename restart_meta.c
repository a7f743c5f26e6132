#include "restart_meta.h"

#include <stdio.h>
#include <string.h>

enum kind { TEXT, NUMBER, HEX, FLAG };

static const struct row {
    const char *name;
    enum kind kind;
    bool same; /* has to be the same again */
    size_t offset;
} rows[] = {
#define ROW(field, kind, same)                                                 \
    {                                                                          \
#field, kind, same, offsetof(struct restart_meta, field)               \
    }
    ROW(slab_config, TEXT, true),
    ROW(maxbytes, NUMBER, true),
    ROW(chunk_size, NUMBER, true),
    ROW(item_size_max, NUMBER, true),
    ROW(slab_chunk_size_max, NUMBER, true),
    ROW(slab_page_size, NUMBER, true),
    ROW(use_cas, FLAG, true),
    ROW(slab_reassign, FLAG, true),
    ROW(layout, TEXT, true),
    ROW(current_time, NUMBER, false),
    ROW(process_started, NUMBER, false),
    ROW(stop_time, NUMBER, false),
    ROW(current_cas, NUMBER, false),
    ROW(oldest_live, NUMBER, false),
    ROW(mmap_oldbase, HEX, false),
    ROW(pages, NUMBER, false),
    ROW(tail, NUMBER, false),
    ROW(tail_hash, HEX, false),
    ROW(stamp, HEX, false),
#undef ROW
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

/* ---- values -------------------------------------------------------------- */

static bool parse_hex(const char *p, size_t n, uint64_t *out)
{
    uint64_t v = 0;

    if (n < 3 || n > 18 || p[0] != '0' || p[1] != 'x') {
        return false;
    }
    for (size_t i = 2; i < n; i++) {
        const char *digit = memchr("0123456789abcdef", p[i], 16);

        if (digit == NULL) {
            return false;
        }
        v = v << 4 |
            (uint64_t)(*digit <= '9' ? *digit - '0' : *digit - 'a' + 10);
    }
    *out = v;
    return true;
}

static bool parse_flag(const char *p, size_t n, bool *out)
{
    *out = n == 4 && memcmp(p, "true", 4) == 0;
    return *out || (n == 5 && memcmp(p, "false", 5) == 0);
}

static bool parse_text(const char *p, size_t n, char *out)
{
    if (n >= RESTART_META_TEXT || memchr(p, '\0', n) != NULL) {
        return false;
    }
    memcpy(out, p, n);
    out[n] = '\0';
    return true;
}

static bool parse_value(const struct row *row, const char *p, size_t n,
                        struct restart_meta *meta)
{
    void *field = (char *)meta + row->offset;

    switch (row->kind) {
    case TEXT:
        return parse_text(p, n, field);
    case NUMBER:
        return util_parse_u64(p, n, field);
    case HEX:
        return parse_hex(p, n, field);
    case FLAG:
        return parse_flag(p, n, field);
    }
    return false;
}

/* The text of a value in `buf`, RESTART_META_TEXT bytes. */
static void format_value(const struct row *row, const struct restart_meta *meta,
                         char *buf)
{
    const void *field = (const char *)meta + row->offset;

    switch (row->kind) {
    case TEXT:
        (void)snprintf(buf, RESTART_META_TEXT, "%s", (const char *)field);
        return;
    case NUMBER:
        (void)snprintf(buf, RESTART_META_TEXT, "%llu",
                       *(const unsigned long long *)field);
        return;
    case HEX:
        (void)snprintf(buf, RESTART_META_TEXT, "0x%llx",
                       *(const unsigned long long *)field);
        return;
    case FLAG:
        (void)snprintf(buf, RESTART_META_TEXT, "%s",
                       *(const bool *)field ? "true" : "false");
        return;
    }
}

/* ---- the whole ------------------------------------------------------------
 */

static const struct row *find(const char *name, size_t n)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

/* A line `K<name> <value>`; false: it is none. Marks in `seen` what it set. */
static bool take_line(const char *line, size_t n, struct restart_meta *out,
                      uint32_t *seen, restart_meta_tell *tell, void *ctx)
{
    const char *space = n > 1 ? memchr(line, ' ', n) : NULL;
    size_t name = space != NULL ? (size_t)(space - line) - 1 : n - 1;
    const struct row *row;

    if (n < 2 || line[0] != 'K') {
        return false;
    }
    row = find(line + 1, name);
    if (row == NULL) {
        tell(ctx, RESTART_META_KEY_UNKNOWN, line + 1, name);
        return true;
    }
    if (space == NULL || !parse_value(row, space + 1, n - name - 2, out)) {
        return false;
    }
    *seen |= 1U << (row - rows);
    return true;
}

/* The line at `*p`, which moves on behind it. */
static size_t next_line(const char **p, const char *end, const char **line)
{
    const char *lf = memchr(*p, '\n', (size_t)(end - *p));

    *line = *p;
    *p = lf != NULL ? lf + 1 : end;
    return (size_t)((lf != NULL ? lf : end) - *line);
}

static bool take_tag(const char *line, size_t n, restart_meta_tell *tell,
                     void *ctx)
{
    if (n == 5 && memcmp(line, "Tmain", 5) == 0) {
        return true;
    }
    if (n == 0) {
        tell(ctx, RESTART_META_NO_TAG, line, 0);
    } else if (line[0] == 'T') {
        tell(ctx, RESTART_META_TAG_UNKNOWN, line + 1, n - 1);
    } else {
        tell(ctx, RESTART_META_LINE_INVALID, line, n);
    }
    return false;
}

enum restart_meta_status restart_meta_parse(const char *text, size_t n,
                                            struct restart_meta *out,
                                            restart_meta_tell *tell, void *ctx)
{
    const char *p = text, *end = text + n, *line;
    uint32_t seen = 0;
    size_t len = next_line(&p, end, &line);

    _Static_assert(ROWS < 32, "a bit for each row");
    memset(out, 0, sizeof(*out));
    if (!take_tag(line, len, tell, ctx)) {
        return RESTART_META_CORRUPT;
    }
    while (p < end) {
        len = next_line(&p, end, &line);
        if (!take_line(line, len, out, &seen, tell, ctx)) {
            tell(ctx, RESTART_META_LINE_INVALID, line, len);
            return RESTART_META_CORRUPT;
        }
    }
    return seen == (1U << ROWS) - 1 ? RESTART_META_OK : RESTART_META_MISSING;
}

size_t restart_meta_format(char *buf, const struct restart_meta *meta)
{
    char value[RESTART_META_TEXT];
    int n = snprintf(buf, RESTART_META_MAX, "Tmain\n");

    for (size_t i = 0; i < ROWS; i++) {
        format_value(&rows[i], meta, value);
        /* It fits: names and values are short. */
        n += snprintf(buf + n, RESTART_META_MAX - (size_t)n, "K%s %s\n",
                      rows[i].name, value);
    }
    return (size_t)n;
}

const char *restart_meta_differs(const struct restart_meta *old,
                                 const struct restart_meta *now, char *value)
{
    char ours[RESTART_META_TEXT];

    for (size_t i = 0; i < ROWS; i++) {
        if (!rows[i].same) {
            continue;
        }
        format_value(&rows[i], old, value);
        format_value(&rows[i], now, ours);
        if (strcmp(value, ours) != 0) {
            return rows[i].name;
        }
    }
    return NULL;
}
