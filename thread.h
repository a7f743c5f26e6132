/*
 * thread - the worker threads.
 *
 * Each worker runs one libevent base without locks and the connections it was
 * given, for their whole life. Others reach it only by messages: a queue and
 * an eventfd.
 *
 * Layer:     5. Includes conn.h and layers 0-4.
 * Threads:   the main thread, except where a function says otherwise.
 * Locks:     QUEUE around each worker's messages.
 * Ownership: functions borrow their arguments unless they say takes or gives.
 */
#ifndef THREAD_H
#define THREAD_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"
#include "command.h"
#include "conn.h"

/* What the commands of every worker ask of the edge; before threads_start.
 * Borrows `host` for good. */
void thread_set_host(const struct command_host *host);

/* Starts `n` workers, and on `base` the tick of once a second that moves the
 * clock, carries out delayed flushes and closes idle connections. False with
 * a line on standard error when that fails. */
bool threads_start(struct event_base *base, unsigned n) MUST_CHECK;

/* Ends all workers, waits for them and closes their connections. Nothing
 * when none were started. */
void threads_stop(void);

/* Asks every worker for a sign of life; whether all have given it since. Main
 * thread. */
void threads_ask(void);
bool threads_answered(void);

/* Takes `fd` and gives it to the next worker. */
void thread_hand_over(int fd, enum conn_transport transport,
                      enum conn_protocol protocol, enum tls_kind tls);

/* ---- from any thread, between start and stop ------------------------ */

/* Connections open in all workers; structures allocated. */
size_t threads_open_count(void);
size_t threads_structures(void);

/* Input kept by the connections of all workers. */
void threads_spilled(struct conn_spilled *sum);

/* Fills in at most `room` views of connections; returns how many. */
size_t threads_view(struct conn_view *views, size_t room);

#endif
