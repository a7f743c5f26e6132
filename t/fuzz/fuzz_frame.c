/* Fuzzes the batches of dialect 2. The first byte says whether they have
 * tags. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "rep/frame.h"

static uint8_t buf[FRAME_BATCH_MAX];

/* What was understood is written again and must give the same bytes. */
static void check_again(const struct frame_msg *msg, const uint8_t *end,
                        uint32_t left)
{
    size_t size = frame_size(msg);
    struct frame_stream stream = {left};
    struct frame_out out;

    frame_begin(&out, buf, sizeof(buf), &stream);
    if (!frame_put(&out, msg)) {
        assert(size > FRAME_BODY_MAX - FRAME_RESERVED);
        return;
    }
    assert(frame_end(&out) == FRAME_HEAD + size);
    assert(memcmp(buf + FRAME_HEAD, end - size, size) == 0);
}

static enum frame_status read_body(struct rd *body, struct frame_stream *stream)
{
    enum frame_status status;
    struct frame_msg msg;
    uint32_t left = stream->left;

    while ((status = frame_next(body, stream, &msg)) == FRAME_OK) {
        assert(body->p <= body->end && stream->left <= FRAME_VALUE_MAX);
        check_again(&msg, body->p, left);
        assert(msg.type != FRAME_HINTS || msg.nbytes <= FRAME_HINTS_MAX);
        left = stream->left;
    }
    assert(status == (rd_done(body) ? FRAME_END : FRAME_BAD));
    assert(frame_next(body, stream, &msg) == status);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame_stream stream = {0};
    struct frame_batch batch;
    bool tagged = size > 0 && (data[0] & 1) != 0;
    size_t at = 1;

    while (at < size &&
           frame_batch(data + at, size - at, tagged, &batch) == FRAME_OK) {
        assert(batch.used > 0 && batch.used <= size - at);
        assert((batch.tag != NULL) == tagged);
        at += batch.used;
        if (read_body(&batch.body, &stream) != FRAME_END) {
            break;
        }
    }
    return 0;
}
