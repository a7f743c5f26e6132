#include "store_internal.h"

/* Stores the initial value unless somebody else has stored one. */
static enum store_status create(const struct store_key *key,
                                const struct store_initial *initial,
                                struct store_number *out)
{
    const struct store_attrs attrs = {.exptime = initial->exptime};
    char digits[UTIL_U64_DIGITS];
    size_t n = (size_t)(util_format_u64(digits, initial->value) - digits);
    uint64_t cas = 0;
    enum store_status status =
        store_set(key, &attrs, STORE_ADD, digits, n, &cas);

    if (status == STORE_OK) {
        out->result = initial->value;
        out->cas = cas;
        out->created = true;
    }
    return status;
}

enum store_status store_arith_create(const struct store_key *key, bool incr,
                                     uint64_t delta,
                                     const struct store_initial *initial,
                                     struct store_number *out)
{
    enum store_status status;

    out->created = false;
    do {
        status =
            store_arith(key, incr, delta, &out->result, &out->cas, &out->found);
        if (status == STORE_NOT_FOUND) {
            status = create(key, initial, out);
        }
        /* NOT_STORED: somebody came between the two. */
    } while (status == STORE_NOT_STORED);
    return status;
}
