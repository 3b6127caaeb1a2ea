/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_cases.h — texts with what is found in them, as rows of a table; and that it is the same
 * however a text is cut.
 *
 * A row says what acts, in the order of the text: "email:a@b.sa phone:+966501234567". A value's
 * blanks are written as they are, with '|' between findings.
 */
#ifndef TESTS_GUARD_CASES_H
#define TESTS_GUARD_CASES_H

#include "unit.h"

#include <stdio.h>

#include "guard/guard_internal.h"

#define CASE_BYTES    4096
#define CASE_FINDINGS 64
#define CASE_ACTS     50

struct guard_case {
    const char *text, *found;
};

/* What a text was found to have, and what came out. */
struct guard_case_result {
    struct guard_finding findings[CASE_FINDINGS];
    size_t count;
    uint8_t text[CASE_BYTES];
    size_t len;
};

static struct guard_wanted case_wanted = {.types = UINT32_MAX};

static void case_take(struct guard_case_result *r, const struct guard_out *out)
{
    assert_true(r->len + out->text.len <= sizeof(r->text));
    assert_int_equal(out->at, r->len);
    if (out->text.len > 0) {
        memcpy(r->text + r->len, out->text.at, out->text.len);
    }
    r->len += out->text.len;
    for (size_t i = 0; i < out->count; i++) {
        const struct guard_finding *f = &out->findings[i];
        struct guard_finding *last = r->count > 0 ? &r->findings[r->count - 1] : NULL;
        assert_true(f->start < f->end && f->end <= r->len);
        if (f->type == GUARD_INJECTION) {
            continue;
        }
        assert_true(last == NULL || last->end <= f->start);
        if (last != NULL && last->end == f->start && last->type == f->type &&
            (f->type == GUARD_PRIVATE_KEY || f->type == GUARD_SECRET)) {
            last->end = f->end;
            continue;
        }
        assert_true(r->count < CASE_FINDINGS);
        r->findings[r->count++] = *f;
    }
}

/* Feeds the text in two pieces, cut at `cut`, or in pieces of `size` if that is not 0. */
static void case_run(struct guard_scratch *w, struct span text, size_t cut, size_t size,
                     struct guard_case_result *r)
{
    struct guard_scan scan;
    struct guard_out out;
    r->count = r->len = 0;
    guard_scan_begin(&scan, &case_wanted);
    for (size_t at = 0; at < text.len;) {
        size_t len = size > 0 ? size : at < cut ? cut : text.len;
        struct span piece = span_cut(text, at, len);
        uint8_t copy[CASE_BYTES];
        memcpy(copy, piece.at, piece.len);
        assert_int_equal(guard_scan_feed(&scan, w, span_make(copy, piece.len), false, &out),
                         ERR_OK);
        case_take(r, &out);
        at += piece.len;
    }
    assert_int_equal(guard_scan_feed(&scan, w, SPAN(""), true, &out), ERR_OK);
    case_take(r, &out);
    assert_int_equal(guard_scan_held(&scan), 0);
}

static void case_same(const struct guard_case_result *whole, const struct guard_case_result *r,
                      struct span text, size_t cut, size_t size)
{
    if (r->len != text.len || memcmp(r->text, text.at, text.len) != 0) {
        fail_msg("cut at %zu, pieces of %zu: text differs: \"%.*s\"", cut, size, SPAN_ARGS(text));
    }
    bool same = r->count == whole->count;
    for (size_t i = 0; i < r->count && same; i++) {
        const struct guard_finding *a = &whole->findings[i], *b = &r->findings[i];
        same = a->start == b->start && a->end == b->end && a->type == b->type &&
               a->percent == b->percent && a->is_validated == b->is_validated;
    }
    if (!same) {
        fail_msg("cut at %zu, pieces of %zu: %zu findings for %zu: \"%.*s\"", cut, size, r->count,
                 whole->count, SPAN_ARGS(text));
    }
}

/* What acts, as a row says it. */
static void case_describe(const struct guard_case_result *r, struct span text, char out[CASE_BYTES])
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < r->count; i++) {
        const struct guard_finding *f = &r->findings[i];
        if (f->percent >= CASE_ACTS) {
            len += (size_t)snprintf(out + len, CASE_BYTES - len, "%s%.*s:%.*s", len > 0 ? "|" : "",
                                    SPAN_ARGS(guard_type_name(f->type)), (int)(f->end - f->start),
                                    (const char *)text.at + f->start);
            assert_true(len < CASE_BYTES);
        }
    }
}

/* Counts rows that are not as they say. */
static size_t case_check(struct guard_scratch *w, const struct guard_case *row)
{
    static struct guard_case_result whole, cut;
    char found[CASE_BYTES];
    struct span text = span_of(row->text);
    struct guard_scan scan;
    struct guard_out out;
    whole.count = whole.len = 0;
    guard_scan_begin(&scan, &case_wanted);
    assert_int_equal(guard_scan_feed(&scan, w, text, true, &out), ERR_OK);
    case_take(&whole, &out);
    case_same(&whole, &whole, text, 0, 0);
    for (size_t at = 0; at <= text.len; at++) {
        case_run(w, text, at, 0, &cut);
        case_same(&whole, &cut, text, at, 0);
    }
    for (size_t size = 1; size < 8; size++) {
        case_run(w, text, 0, size, &cut);
        case_same(&whole, &cut, text, 0, size);
    }
    case_describe(&whole, text, found);
    if (strcmp(found, row->found) != 0) {
        print_error("\"%s\"\n   found   %s\n   instead %s\n", row->text, found, row->found);
        return 1;
    }
    return 0;
}

static void case_check_all(const struct guard_case *rows, size_t count)
{
    struct guard_scratch *w;
    size_t wrong = 0;
    assert_int_equal(guard_scratch_new(&w), ERR_OK);
    for (size_t i = 0; i < count; i++) {
        wrong += case_check(w, &rows[i]);
    }
    guard_scratch_free(&w);
    assert_int_equal(wrong, 0);
}

#endif
