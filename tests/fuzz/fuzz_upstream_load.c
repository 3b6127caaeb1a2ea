/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_upstream_load.c — whatever a page of metrics says, what is believed of it are numbers that a
 * server can have; and a page that says it twice says twice as much, or is refused.
 *
 * The first byte is how long the model's name is, that follows; the rest is the page.
 */
#include "base/buf.h"
#include "fuzz.h"
#include "upstream/upstream_load.h"

static void is_possible(const struct upstream_load *l)
{
    CHECK(l->running >= 0 && l->running <= UPSTREAM_LOAD_MOST);
    CHECK(l->waiting >= 0 && l->waiting <= UPSTREAM_LOAD_MOST);
    CHECK(l->kv_permille >= -1 && l->kv_permille <= 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct upstream_load once, twice;
    const char *why = "";
    if (size == 0) {
        return 0;
    }
    struct span all = span_make(data + 1, size - 1);
    struct span model = span_cut(all, 0, data[0]), page = span_cut(all, model.len, all.len);
    enum err e = upstream_load_read(page, model, &why, &once);
    CHECK(e == ERR_OK || (e == ERR_VALUE_INVALID && why[0] != '\0'));
    if (e != ERR_OK) {
        return 0;
    }
    is_possible(&once);
    struct buf again;
    buf_init(&again, 2 * size + 2);
    buf_put(&again, page);
    buf_put_byte(&again, '\n');
    buf_put(&again, page);
    if (upstream_load_read(buf_span(&again), model, &why, &twice) == ERR_OK) {
        CHECK(twice.running == 2 * once.running && twice.waiting == 2 * once.waiting);
        CHECK(twice.kv_permille == once.kv_permille);
    } else {
        CHECK(2 * once.running > UPSTREAM_LOAD_MOST || 2 * once.waiting > UPSTREAM_LOAD_MOST);
    }
    buf_fini(&again);
    return 0;
}
