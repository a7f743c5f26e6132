#include "settings.h"

#include <stdio.h>
#include <string.h>

#include "base/lock.h"

#ifdef ENABLE_REPLICATION
#define PAIR(format) format
#else
#define PAIR(format) HIDDEN
#endif

#ifdef HAVE_SECCOMP
#define SECCOMP(format) format
#else
#define SECCOMP(format) HIDDEN
#endif

struct settings settings = {
#define SETTING(type, field, initial, format, name) .field = (initial),
#define SETTING_SAID(name, text)
#include "settings.def"
#undef SETTING
#undef SETTING_SAID
};

static struct lock lock;

void settings_take(void)
{
    lock_take(&lock, LOCK_QUEUE);
}

void settings_drop(void)
{
    lock_drop(&lock, LOCK_QUEUE);
}

enum format {
    HIDDEN,
    INT,
    UINT,
    SIZE,
    FIXED, /* two decimals */
    TEXT,  /* "NULL" when unset, as stock says */
    GIVEN, /* of a text: yes or no, not what it is */
    PATH,  /* "no" when unset */
    NAMED, /* "(null)" when unset, as stock says of some */
    TLS_VERSION,
    LETTER,
    YES_NO,
    ON_OFF,
    OCTAL,
    PROTOCOL,
    SAID, /* the text of the row */
};

enum { VALUE_MAX = 64 };

static const struct row {
    const char *name;
    enum format format;
    size_t offset;    /* of the field in struct settings */
    const char *text; /* SAID */
} rows[] = {
#define SETTING(type, field, initial, format, name)                            \
    {name, format, offsetof(struct settings, field), NULL},
#define SETTING_SAID(name, text) {name, SAID, 0, text},
#include "settings.def"
#undef SETTING
#undef SETTING_SAID
};

static const char *protocol_name(int protocol)
{
    static const char *const names[] = {[SETTINGS_AUTO] = "auto-negotiate",
                                        [SETTINGS_ASCII] = "ascii",
                                        [SETTINGS_BINARY] = "binary"};

    return names[protocol];
}

static const char *text_or(const void *setting, const char *unset)
{
    const char *text = *(const char *const *)setting;

    return text != NULL ? text : unset;
}

/* The text of a row, in `buf` or constant; NULL: the caller knows. */
static const char *value_text(const struct row *row, char *buf)
{
    const void *p = (const char *)&settings + row->offset;
    const char *text = buf;
    int n = 0;

    switch (row->format) {
    case INT:
        n = snprintf(buf, VALUE_MAX, "%d", *(const int *)p);
        break;
    case UINT:
        n = snprintf(buf, VALUE_MAX, "%u", *(const unsigned *)p);
        break;
    case SIZE:
        n = snprintf(buf, VALUE_MAX, "%zu", *(const size_t *)p);
        break;
    case FIXED:
        n = snprintf(buf, VALUE_MAX, "%.2f", *(const double *)p);
        break;
    case OCTAL:
        n = snprintf(buf, VALUE_MAX, "%o", (unsigned)*(const int *)p);
        break;
    case LETTER:
        n = snprintf(buf, VALUE_MAX, "%c", *(const char *)p);
        break;
    case TEXT:
        text = text_or(p, "NULL");
        break;
    case TLS_VERSION:
        n = snprintf(buf, VALUE_MAX, "tlsv1.%d", *(const int *)p);
        break;
    case NAMED:
        text = text_or(p, "(null)");
        break;
    case PATH:
        text = text_or(p, "no");
        break;
    case GIVEN:
        text = *(const char *const *)p != NULL ? "yes" : "no";
        break;
    case YES_NO:
        text = *(const bool *)p ? "yes" : "no";
        break;
    case ON_OFF:
        text = *(const bool *)p ? "on" : "off";
        break;
    case PROTOCOL:
        text = protocol_name(*(const int *)p);
        break;
    case HIDDEN:
    case SAID:
        text = row->text;
        break;
    }
    return n < 0 ? "" : text;
}

void settings_visit(void (*row)(void *ctx, const char *name, const char *value),
                    void *ctx)
{
    char buf[VALUE_MAX];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text;

        if (rows[i].format == HIDDEN) {
            continue;
        }
        settings_take();
        text = value_text(&rows[i], buf); /* in buf, or constant */
        settings_drop();
        row(ctx, rows[i].name, text);
    }
}
