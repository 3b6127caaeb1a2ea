/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_upstream_error.c — whatever a server calls an error, what is relayed is bounded UTF-8, and
 * only of statuses that may be relayed.
 *
 * The first byte chooses kind and status, the rest is the body.
 */
#include "fuzz.h"
#include "upstream/upstream_error.h"
#include "json/json_write.h"

static const int statuses[] = {0, 400, 401, 404, 413, 422, 424, 429, 500, 503};

#define STATUSES (sizeof(statuses) / sizeof(statuses[0]))

/* Writing ill-formed text as JSON changes it: nothing may change but by escapes. */
static void is_well_formed(struct span text)
{
    struct buf out;
    buf_init(&out, UPSTREAM_MESSAGE_MAX * 6 + 2);
    json_put_string(&out, text);
    CHECK(!buf_failed(&out));
    CHECK(memmem(buf_span(&out).at, buf_span(&out).len, "\xef\xbf\xbd", 3) == NULL ||
          memmem(text.at, text.len, "\xef\xbf\xbd", 3) != NULL);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct upstream_answer answer = {
        .kind = (enum upstream_kind)(data[0] / STATUSES % (UPSTREAM_OPENAI + 1)),
        .status = statuses[data[0] % STATUSES],
        .retry_after = span_make(data + 1, size - 1),
        .now = {1795489200500000},
        .body = span_make(data + 1, size - 1)};
    struct arena arena;
    arena_init(&arena, 1 << 16);
    struct upstream_error error;
    upstream_error_read(&answer, &arena, &error);
    CHECK(err_row(error.err)->status >= 400);
    CHECK(error.retry_after_s >= 0 && error.retry_after_s <= UPSTREAM_RETRY_AFTER_MAX);
    CHECK(error.message.len <= UPSTREAM_MESSAGE_MAX && error.param.len <= UPSTREAM_PARAM_MAX);
    CHECK(error.message.len == 0 || err_row(error.err)->status < 500);
    is_well_formed(error.message);
    is_well_formed(error.param);
    arena_fini(&arena);
    return 0;
}
