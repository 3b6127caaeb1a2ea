/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_json_walk.c — an index has the same rows and errors whether it is made at once or in steps,
 * quickly or by the walk that says what is JSON.
 *
 * The first byte says how long the steps are.
 */
#include "fuzz.h"

#include <stdlib.h>

#include "json/json_index.h"

#define MAX_DEPTH 64

static void compare(const struct json_index *a, enum err of_a, const struct json_index *b,
                    enum err of_b)
{
    CHECK(of_a == of_b && a->error_at == b->error_at && a->count == b->count);
    CHECK(a->count == 0 || memcmp(a->rows, b->rows, a->count * sizeof(*a->rows)) == 0);
}

static enum err in_steps(struct json_index *x, struct span text, size_t bytes, bool exactly)
{
    enum err e = ERR_OK;
    json_index_begin_borrow(x, text);
    if (exactly) {
        x->walk = (struct json_walk){.phase = JSON_WALK_UTF8, .open = JSON_NONE};
    }
    while (e == ERR_OK && !json_index_is_done(x)) {
        e = json_index_step(x, bytes);
    }
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_index whole, stepped;
    if (size == 0) {
        return 0;
    }
    uint8_t *copy = malloc(size - 1); /* ends where its memory ends */
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data + 1, size - 1);
    struct span text = {copy, size - 1};
    json_index_init(&whole, 4096, MAX_DEPTH);
    json_index_init(&stepped, 4096, MAX_DEPTH);
    enum err e = json_index_parse_borrow(&whole, text);
    compare(&stepped, in_steps(&stepped, text, SIZE_MAX, true), &whole, e);
    compare(&stepped, in_steps(&stepped, text, data[0] % 80 + 1, true), &whole, e);
    compare(&stepped, in_steps(&stepped, text, data[0] % 80 + 1, false), &whole, e);
    json_index_fini(&stepped);
    json_index_fini(&whole);
    free(copy);
    return 0;
}
