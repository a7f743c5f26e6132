/*
 * napi - which worker serves a connection that came in by which queue of the
 * network card (-N).
 *
 * The first so many workers are tied to one queue each, in the order in which
 * queues are first seen. A queue too many means that the number given is wrong
 * or that the card was set up anew: all ties are forgotten, and made again.
 *
 * Layer:   4. Includes layer 0.
 * Threads: whoever hands connections over.
 */
#ifndef NAPI_H
#define NAPI_H

#include <stdbool.h>

#define NAPI_WORKERS_MAX 1024

struct napi {
    unsigned ids[NAPI_WORKERS_MAX]; /* of each worker; 0: none yet */
    unsigned workers;               /* that are tied; -N */
};

enum napi_choice {
    NAPI_CHOSEN,     /* *worker is the one of this queue */
    NAPI_UNEXPECTED, /* the same, but all others had to be forgotten */
    NAPI_NO_QUEUE,   /* id 0, as of loopback: whoever is next */
};

enum napi_choice napi_choose(struct napi *napi, unsigned id, unsigned *worker);

#endif
