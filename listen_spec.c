#include "listen_spec.h"

#include <stdint.h>
#include <string.h>

enum { TAG_MAX = 8 };

static bool starts_with(struct listen_text text, const char *prefix)
{
    size_t n = strlen(prefix);

    return text.len >= n && memcmp(text.ptr, prefix, n) == 0;
}

static void skip(struct listen_text *text, size_t n)
{
    text->ptr += n;
    text->len -= n;
}

/* Characters before the first `c`; the length when there is none. */
static size_t before(struct listen_text text, char c)
{
    const char *at = text.len > 0 ? memchr(text.ptr, c, text.len) : NULL;

    return at != NULL ? (size_t)(at - text.ptr) : text.len;
}

static bool is_separator(char c)
{
    return c == ',' || c == ';';
}

bool listen_spec_next(struct listen_text *list, struct listen_text *element)
{
    while (list->len > 0 && is_separator(list->ptr[0])) {
        skip(list, 1);
    }
    element->ptr = list->ptr;
    while (list->len > 0 && !is_separator(list->ptr[0])) {
        skip(list, 1);
    }
    element->len = (size_t)(list->ptr - element->ptr);
    return element->len > 0;
}

static void parse_tls(struct listen_text *at, struct listen_spec *spec)
{
    static const struct {
        const char *prefix;
        enum listen_tls tls;
    } rows[] = {{"notls:", LISTEN_TLS_NONE},
                {"btls:", LISTEN_TLS_BASIC},
                {"mtls:", LISTEN_TLS_MUTUAL}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (starts_with(*at, rows[i].prefix)) {
            spec->tls = rows[i].tls;
            skip(at, strlen(rows[i].prefix));
            return;
        }
    }
}

/* A name is compared over its own length only, so that a part of one will do;
 * one that is not known changes nothing. Both as in stock. */
static bool is_part_of(struct listen_text name, const char *whole)
{
    return name.len <= strlen(whole) && memcmp(name.ptr, whole, name.len) == 0;
}

static enum listen_protocol protocol_named(struct listen_text name)
{
    static const struct {
        const char *name;
        enum listen_protocol protocol;
    } rows[] = {{"ascii", LISTEN_ASCII},
                {"binary", LISTEN_BINARY},
                {"negotiating", LISTEN_NEGOTIATING}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (is_part_of(name, rows[i].name)) {
            return rows[i].protocol;
        }
    }
    return LISTEN_PROTOCOL_UNSAID;
}

/* The text up to `end` and a colon, taken off `at`; false without these. */
static bool take_bracketed(struct listen_text *at, char end,
                           struct listen_text *inside)
{
    size_t n = before(*at, end);

    if (n + 1 >= at->len || at->ptr[n + 1] != ':') {
        return false;
    }
    *inside = (struct listen_text){at->ptr, n};
    skip(at, n + 2);
    return true;
}

static enum listen_spec_status parse_protocol(struct listen_text *at,
                                              struct listen_spec *spec,
                                              struct listen_text *fault)
{
    const char *start = at->ptr;
    struct listen_text name;

    if (!starts_with(*at, "proto[")) {
        return LISTEN_SPEC_OK;
    }
    skip(at, strlen("proto"));
    *fault = *at;
    skip(at, 1);
    if (!take_bracketed(at, ']', &name)) {
        return LISTEN_SPEC_BAD_PROTOCOL;
    }
    spec->protocol = protocol_named(name);
    if (spec->protocol == LISTEN_PROTOCOL_UNSAID && is_part_of(name, "proxy")) {
        *fault =
            (struct listen_text){start, (size_t)(name.ptr - start) + name.len};
        return LISTEN_SPEC_PROXY;
    }
    return LISTEN_SPEC_OK;
}

static enum listen_spec_status parse_tag(struct listen_text *at,
                                         struct listen_spec *spec,
                                         struct listen_text *fault)
{
    bool bracket = starts_with(*at, "tag[");

    if (!bracket && !starts_with(*at, "tag_")) {
        return LISTEN_SPEC_OK;
    }
    skip(at, strlen("tag"));
    *fault = *at;
    skip(at, 1);
    if (!take_bracketed(at, bracket ? ']' : '_', &spec->tag)) {
        return LISTEN_SPEC_BAD_TAG;
    }
    *fault = spec->tag;
    return spec->tag.len >= 1 && spec->tag.len <= TAG_MAX
               ? LISTEN_SPEC_OK
               : LISTEN_SPEC_TAG_LENGTH;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A number as C's strtol reads it, white space around it and a sign allowed,
 * as stock does. */
static bool parse_port(struct listen_text text, int *port)
{
    int32_t v;

    while (text.len > 0 && is_space(text.ptr[0])) {
        skip(&text, 1);
    }
    while (text.len > 0 && is_space(text.ptr[text.len - 1])) {
        text.len--;
    }
    if (text.len > 1 && text.ptr[0] == '+' && text.ptr[1] != '-') {
        skip(&text, 1);
    }
    if ((text.len == 1 && text.ptr[0] == '-') ||
        !util_parse_s32(text.ptr, text.len, &v)) {
        return false;
    }
    *port = v;
    return true;
}

/* Splits the host off `at`; what is left begins with the colon of the port,
 * or has none. False for a bracket that does not close. */
static bool take_host(struct listen_text *at, struct listen_text *host)
{
    struct listen_text behind;
    size_t n;

    if (starts_with(*at, "[")) {
        skip(at, 1);
        n = before(*at, ']');
        if (n == at->len) {
            return false;
        }
        *host = (struct listen_text){at->ptr, n};
        skip(at, n + 1);
        return true;
    }
    n = before(*at, ':');
    behind = *at;
    skip(&behind, n < at->len ? n + 1 : n);
    if (before(behind, ':') < behind.len) {
        n = at->len; /* two colons: an address of IPv6, without a port */
    }
    *host = (struct listen_text){at->ptr, n};
    skip(at, n);
    return true;
}

static enum listen_spec_status parse_host(struct listen_text at,
                                          struct listen_spec *spec,
                                          struct listen_text *fault)
{
    *fault = at;
    if (!take_host(&at, &spec->host)) {
        return LISTEN_SPEC_BAD_IPV6;
    }
    if (!starts_with(at, ":")) {
        return LISTEN_SPEC_OK;
    }
    skip(&at, 1);
    *fault = at;
    spec->has_port = parse_port(at, &spec->port);
    return spec->has_port ? LISTEN_SPEC_OK : LISTEN_SPEC_BAD_PORT;
}

enum listen_spec_status listen_spec_parse(struct listen_text element,
                                          struct listen_spec *spec,
                                          struct listen_text *fault)
{
    enum listen_spec_status status;

    *spec = (struct listen_spec){.tls = LISTEN_TLS_UNSAID};
    *fault = element;
    parse_tls(&element, spec);
    status = parse_protocol(&element, spec, fault);
    if (status == LISTEN_SPEC_OK) {
        status = parse_tag(&element, spec, fault);
    }
    return status == LISTEN_SPEC_OK ? parse_host(element, spec, fault) : status;
}
