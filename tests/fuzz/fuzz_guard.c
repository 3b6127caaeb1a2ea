/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_guard.c — whatever a text is, and however it is cut: out comes the text, and findings lie in
 * it, in their order, the same as of the whole.
 *
 * The first two bytes say how it is cut.
 */
#include "fuzz.h"

#include <stdlib.h>

#include "guard/guard_scan.h"

#define FINDINGS_MAX 4096

struct result {
    struct guard_finding findings[FINDINGS_MAX];
    size_t count, len;
};

static struct guard_scratch *scratch;

static void take(struct result *r, struct span all, const struct guard_out *out)
{
    CHECK(out->at == r->len && out->text.len <= all.len - r->len);
    CHECK(span_equal(out->text, span_cut(all, r->len, out->text.len)));
    r->len += out->text.len;
    for (size_t i = 0; i < out->count; i++) {
        const struct guard_finding *f = &out->findings[i];
        struct guard_finding *last = r->count > 0 ? &r->findings[r->count - 1] : NULL;
        CHECK(f->start < f->end && f->end <= r->len && f->percent <= 100);
        if (f->type == GUARD_INJECTION) {
            continue;
        }
        CHECK(last == NULL || last->end <= f->start);
        if (last != NULL && last->end == f->start && last->type == f->type &&
            (f->type == GUARD_PRIVATE_KEY || f->type == GUARD_SECRET)) {
            last->end = f->end;
        } else if (r->count < FINDINGS_MAX) {
            r->findings[r->count++] = *f;
        }
    }
}

/* Pieces of one to `most` bytes. */
static void run(struct span all, unsigned most, unsigned seed, struct result *r)
{
    static const struct guard_wanted wanted = {.types = UINT32_MAX};
    struct guard_scan scan;
    struct guard_out out;
    r->count = r->len = 0;
    guard_scan_begin(&scan, &wanted);
    for (size_t at = 0; at < all.len;) {
        seed = seed * 1103515245u + 12345;
        struct span piece = span_cut(all, at, most == 0 ? all.len : 1 + (seed >> 16) % most);
        CHECK(guard_scan_feed(&scan, scratch, piece, false, &out) == ERR_OK);
        take(r, all, &out);
        CHECK(guard_scan_held(&scan) <= sizeof(scan.bytes));
        at += piece.len;
    }
    CHECK(guard_scan_feed(&scan, scratch, SPAN(""), true, &out) == ERR_OK);
    take(r, all, &out);
    CHECK(r->len == all.len && guard_scan_held(&scan) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct result whole, cut;
    if (size < 2) {
        return 0;
    }
    if (scratch == NULL && guard_scratch_new(&scratch) != ERR_OK) {
        abort();
    }
    struct span all = span_make(data + 2, size - 2);
    run(all, 0, 0, &whole);
    const unsigned sizes[] = {1, 3, 1u + data[0]};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        run(all, sizes[i], data[1], &cut);
        CHECK(cut.count == whole.count);
        for (size_t f = 0; f < cut.count; f++) {
            const struct guard_finding *a = &whole.findings[f], *b = &cut.findings[f];
            CHECK(a->start == b->start && a->end == b->end && a->type == b->type &&
                  a->percent == b->percent && a->is_validated == b->is_validated);
        }
    }
    return 0;
}
