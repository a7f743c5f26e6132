#include "options_value.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"

int options_number(const char *arg, int base)
{
    return (int)strtol(arg, NULL, base);
}

uint32_t options_strict_number(const char *arg, const char *name)
{
    uint32_t v;

    if (!util_parse_u32(arg, strlen(arg), &v)) {
        log_fatal(EXIT_FAILURE, "could not parse argument to %s\n", name);
    }
    return v;
}

size_t options_size(const char *arg, const char *name)
{
    size_t n = strspn(arg, "0123456789");
    size_t unit = 1;
    uint64_t v;

    switch (arg[n]) {
    case 'k':
    case 'K':
        unit = KIB;
        break;
    case 'm':
    case 'M':
        unit = MIB;
        break;
    case 'g':
    case 'G':
        unit = GIB;
        break;
    default:
        break;
    }
    if (!util_parse_u64(arg, n, &v) || arg[n + (unit > 1)] != '\0') {
        log_fatal(EXIT_FAILURE, "could not parse argument to %s\n", name);
    }
    if (v > SIZE_MAX / unit || v * unit > UINT64_C(64) << 30 ||
        v * unit < 4 * KIB) {
        log_fatal(EXIT_FAILURE, "%s must be between 4k and 64g, got %s\n", name,
                  arg);
    }
    return (size_t)v * unit;
}

/* ---- lists ------------------------------------------------------------ */

#define LISTS 4 /* settings that are one */

static struct {
    const char **list;
    char *text; /* owned: more than one element */
} copies[LISTS];

bool options_is_listed(const char *list, const char *element)
{
    size_t len = strlen(element);

    while (list != NULL && *list != '\0') {
        size_t n = strcspn(list, ",;");

        if (n == len && memcmp(list, element, n) == 0) {
            return true;
        }
        list += n + (list[n] != '\0');
    }
    return false;
}

void options_append(const char **list, const char *arg)
{
    char *joined;
    size_t room;
    size_t i = 0;

    if (*list == NULL) {
        *list = arg;
        return;
    }
    room = strlen(*list) + strlen(arg) + 2;
    joined = malloc(room);
    if (joined == NULL) {
        log_fatal(EXIT_FAILURE, "Failed to allocate memory\n");
    }
    (void)snprintf(joined, room, "%s,%s", *list, arg);
    while (copies[i].list != NULL && copies[i].list != list) {
        i++;
        assert(i < LISTS);
    }
    free(copies[i].text);
    copies[i].list = list;
    copies[i].text = joined;
    *list = joined;
}

void options_drop_lists(void)
{
    for (size_t i = 0; i < LISTS && copies[i].list != NULL; i++) {
        free(copies[i].text);
        *copies[i].list = NULL;
        copies[i].list = NULL;
        copies[i].text = NULL;
    }
}
