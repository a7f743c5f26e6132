/* Fuzzes the file of -Y: what was understood is found, and nothing but that
 * may be understood of the same file written again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* Each user as a line; returns the end. */
static char *write_again(const struct authfile_table *table, char *p)
{
    for (unsigned i = 0; i < table->n; i++) {
        const struct authfile_user *u = &table->user[i];

        demand((size_t)u->nuser + u->npass < AUTHFILE_LINE);
        demand(authfile_find(table, u->text, u->nuser, u->text + u->nuser,
                             u->npass));
        memcpy(p, u->text, u->nuser);
        p += u->nuser;
        *p++ = ':';
        memcpy(p, u->text + u->nuser, u->npass);
        p += u->npass;
        *p++ = '\r'; /* so that one that was cut before a CR keeps it */
        *p++ = '\n';
    }
    return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct authfile_table table, again;
    char text[AUTHFILE_BYTES];
    char *end;

    size = size < sizeof(text) ? size : sizeof(text);
    if (!authfile_parse((const char *)data, size, &table)) {
        return 0;
    }
    demand(table.n > 0 && table.n <= AUTHFILE_USERS);
    end = write_again(&table, text);
    demand(authfile_parse(text, (size_t)(end - text), &again));
    demand(memcmp(&table, &again, sizeof(table)) == 0);
    return 0;
}
