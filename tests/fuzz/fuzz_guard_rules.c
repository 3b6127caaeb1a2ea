/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_guard_rules.c — any first line is a pattern that is refused with a sentence or compiled;
 * what it finds in the other lines is the same whether Vectorscan sees the text first or PCRE2
 * alone does, for which the text comes in pieces. The same lines are a word list, each entry of
 * which is found.
 */
#include "fuzz.h"

#include "base/check.h"
#include "guard/guard_rules.h"
#include "guard/guard_scan.h"
#include "json/json_scan.h"

#define FOUND_MAX 64
#define PIECE     200 /* bytes: of a window that PCRE2 sees alone */
#define CROWD     16  /* findings: where more lie over one another some are left out */

struct found {
    struct guard_finding at[FOUND_MAX];
    size_t count;
    size_t out;
    bool is_crowded, is_bounded;
};

static void take(const struct guard_out *out, struct found *f, size_t len)
{
    CHECK(out->at == f->out);
    f->out += out->text.len;
    for (size_t i = 0; i < out->count; i++) {
        CHECK(out->findings[i].start < out->findings[i].end && out->findings[i].end <= len);
        f->is_bounded = f->is_bounded || out->findings[i].percent < 100;
        f->is_crowded = f->is_crowded || f->count == CROWD;
        if (!f->is_crowded) {
            f->at[f->count++] = out->findings[i];
        }
    }
}

static void scan(struct guard_rules *r, struct span text, size_t size, struct found *f)
{
    struct guard_wanted wanted = {.rules = {r, NULL}};
    struct guard_scratch *w = NULL;
    struct guard_scan s;
    struct guard_out out;
    *f = (struct found){.count = 0};
    if (guard_scratch_new(&w) != ERR_OK) {
        return;
    }
    guard_scan_begin(&s, &wanted);
    for (size_t at = 0; size > 0 && at < text.len; at += size) {
        CHECK(guard_scan_feed(&s, w, span_cut(text, at, size), false, &out) == ERR_OK);
        take(&out, f, text.len);
    }
    struct span rest = size > 0 ? SPAN("") : text;
    CHECK(guard_scan_feed(&s, w, rest, true, &out) == ERR_OK);
    take(&out, f, text.len);
    CHECK(f->out == text.len);
    guard_scratch_free(&w);
}

static struct guard_rules *make(enum guard_rule_kind kind, struct span text)
{
    struct guard_rule_source source = {kind, SPAN("own"), text};
    char fault[GUARD_RULES_FAULT] = "";
    size_t which = 0;
    struct guard_rules *r = NULL;
    enum err e = guard_rules_new(&source, 1, GUARD_BUILTINS, fault, &which, &r);
    CHECK(e == ERR_OK || (e == ERR_CONFIG && r == NULL && fault[0] != '\0' && which == 0));
    return r;
}

static void compare(const struct found *a, const struct found *b)
{
    if (a->is_crowded || b->is_crowded || a->is_bounded || b->is_bounded) {
        return;
    }
    CHECK(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        CHECK(a->at[i].start == b->at[i].start && a->at[i].end == b->at[i].end);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct found whole, pieces;
    struct span all = span_make(data, size);
    size_t end = span_find(all, '\n', 0);
    struct span text = span_cut(all, end + 1, size);
    bool is_text = json_scan_utf8(all) == size; /* calls have no other: their JSON is checked */
    struct guard_rules *r = make(GUARD_RULE_PATTERN, span_cut(all, 0, end));
    if (r != NULL) {
        scan(r, text, 0, &whole);
        scan(r, text, PIECE, &pieces);
        if (is_text) {
            compare(&whole, &pieces);
        }
    }
    guard_rules_unref(&r);
    r = make(GUARD_RULE_WORDLIST, text);
    if (r != NULL) {
        scan(r, text, 0, &whole);
        scan(r, text, 1, &pieces);
        compare(&whole, &pieces);
    }
    guard_rules_unref(&r);
    return 0;
}
