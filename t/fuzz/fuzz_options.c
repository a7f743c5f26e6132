/* The list of -o: its pieces and the commas between them are the list again,
 * each is the suboption that its name says, and only those whose value is a
 * list contain commas. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "options_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1); /* its end is seen by the sanitizer */
    const char *end;
    char *list = text;

    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    end = text + strlen(text);
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
    free(text);
    return 0;
}
