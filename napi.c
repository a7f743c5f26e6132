#include "napi.h"

#include <string.h>

enum napi_choice napi_choose(struct napi *napi, unsigned id, unsigned *worker)
{
    unsigned i = 0;

    if (id == 0) {
        return NAPI_NO_QUEUE;
    }
    while (i < napi->workers && napi->ids[i] != 0 && napi->ids[i] != id) {
        i++;
    }
    if (i < napi->workers) {
        napi->ids[i] = id;
        *worker = i;
        return NAPI_CHOSEN;
    }
    memset(napi->ids, 0, sizeof(napi->ids));
    napi->ids[0] = id;
    *worker = 0;
    return NAPI_UNEXPECTED;
}
