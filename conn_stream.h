/*
 * conn_stream - connections that belong to a stream, and what is told of all.
 *
 * conn_stream.c sends what streams have, conn_tell.c tells who is there: to
 * `stats conns`, and to those who watch connevents. The first two are conn.c's.
 *
 * Layer:   5. Includes conn_internal.h.
 * Threads: the owning worker.
 */
#ifndef CONN_STREAM_H
#define CONN_STREAM_H

#include "conn_internal.h"

/* Reads what the peer sent and forgets it; notes the end. */
void conn_read_away(struct conn *c);

/* Its output is sent, its stream over: takes requests again. */
void conn_resume(struct conn *c);

/* Hands it over to the stream its last request made. */
void conn_stream_begin(struct conn *c);

/* What the stream had was sent: goes on with it. */
void conn_stream_go_on(struct conn *c);

/* A turn of its stream: sends what that has, as far as the peer takes it. */
void conn_stream_run(struct conn *c);

/* It is closed: ends its stream. */
void conn_stream_end(struct conn *c);

/* Remembers who its peer is, while it is sure to have one: a connection that is
 * reset has none. */
void conn_note_peer(struct conn *c);

/* Tells those who watch connevents. */
void conn_tell_new(const struct conn *c);
void conn_tell_closed(const struct conn *c);

#endif
