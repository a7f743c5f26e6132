#include "conn_stream.h"

#include "stream.h"

/* The peer of a stream for good says something: only its end counts. */
static void on_unheard(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = conn_cast(arg);

    (void)fd;
    (void)what;
    conn_read_away(c);
    if (c->eof) {
        conn_close(c);
    }
}

/* From now on its input is read away, or left where it is until the stream
 * has ended. */
static bool stop_listening(struct conn *c)
{
    (void)event_del(&c->event);
    if (!c->parked->stream->kind->for_good) {
        return true;
    }
    return event_assign(&c->event, c->set->base, c->fd, EV_READ | EV_PERSIST,
                        on_unheard, c) == 0 &&
           event_add(&c->event, NULL) == 0;
}

void conn_stream_begin(struct conn *c)
{
    struct conn_set *set = c->set;
    struct stream *stream = set->command.stream;
    struct parked *parked = conn_park(c);

    if (parked == NULL) {
        out_discard(&set->out);
        stream->kind->end(stream);
        conn_close(c);
        return;
    }
    parked->stream = stream;
    if (stream->kind->for_good) {
        LIST_INSERT_HEAD(&set->watching, c, parked->watching);
    }
    conn_set_state(c, CONN_WATCH);
    if (!stop_listening(c)) {
        out_discard(&set->out);
        conn_close(c);
        return;
    }
    conn_stream_run(c);
}

void conn_stream_end(struct conn *c)
{
    struct stream *stream = c->parked->stream;

    if (stream == NULL) {
        return;
    }
    if (stream->kind->for_good) {
        LIST_REMOVE(c, parked->watching);
    }
    c->parked->stream = NULL;
    stream->kind->end(stream);
}

void conn_stream_run(struct conn *c)
{
    struct stream *stream = c->parked->stream;
    enum stream_state state = stream->kind->fill(stream, &c->set->out);
    enum sent sent = conn_flush(c);

    if (sent == SENT_BROKEN) {
        conn_close(c);
        return;
    }
    if (state == STREAM_END) {
        conn_stream_end(c);
        conn_set_state(c, CONN_NEW_CMD);
    }
    if (sent == SENT_BLOCKED) {
        if (state == STREAM_END) {
            conn_set_state(c, CONN_MWRITE);
        }
        return; /* conn_drained goes on */
    }
    if (state == STREAM_END) {
        conn_resume(c);
    } else if (state == STREAM_MORE) {
        conn_queue_run(c);
    }
}

void conn_stream_go_on(struct conn *c)
{
    if (stop_listening(c)) {
        conn_queue_run(c);
    } else {
        conn_close(c);
    }
}

void conn_set_on_wake(struct conn_set *set, void (*wake)(void *ctx), void *ctx)
{
    set->command.wake = wake;
    set->command.wake_ctx = ctx;
}

void conn_set_woken(struct conn_set *set)
{
    struct conn *c;

    LIST_FOREACH (c, &set->watching, parked->watching) {
        if (c->parked->pending == NULL) {
            conn_queue_run(c);
        }
    }
}
