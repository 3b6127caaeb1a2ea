/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets that are known by how they begin: the table's prefix, then so many characters of its
 * alphabet. Secrets that stand behind a word are guard_secret_words.c's.
 *
 * A prefix that the window's end tears, or one whose characters reach it, waits.
 */
#include <pthread.h>

#include "crypto/base62.h"
#include "crypto/crc.h"
#include "guard/guard_secrets_internal.h"

#define PREFIX_MAX       28 /* characters: what the window's end may tear */
#define CHECKSUM_CHARS   6
#define GITHUB_PREFIX    4
#define TELEGRAM_MIN     8 /* digits of a bot's number */
#define TELEGRAM_MAX     10
#define DIFFERENT_MIN    6   /* characters of a secret that differ */
#define MIXED_BITS       280 /* hundredths of a bit in a character */
#define KEY_HEADER_BYTES 64  /* of "-----BEGIN … PRIVATE KEY-----" */
#define JWT_PART_MIN     10
#define SURE             99 /* percent: a checksum, or nothing else begins so */
#define LIKELY_ONE       95

enum secret_shape {
    PLAIN,
    MIXED,  /* with letters and digits */
    CASES,  /* with letters of either case */
    BEHIND, /* the prefix is not part of the value */
    GITHUB,
    ATLAS,
    TELEGRAM,
    JWT,
    KEY
};

static const struct secret {
    struct span prefix;
    uint8_t alphabet;
    uint8_t shape;
    uint16_t least, most;
} secrets[] = {
#define SECRET(prefix, alphabet, least, most, shape) \
    {{(const uint8_t *)(prefix), sizeof(prefix) - 1}, (alphabet), (shape), (least), (most)},
#include "guard/guard_secrets.def"
#undef SECRET
};

#define SECRETS (sizeof(secrets) / sizeof(secrets[0]))

static struct guard_triggers triggers;

static void make_triggers(void)
{
    for (size_t i = 0; i < SECRETS; i++) {
        guard_triggers_add(&triggers, secrets[i].prefix, (unsigned)i);
    }
    guard_secret_words_add(&triggers, SECRETS);
}

/* What one that begins at `start` looks like. */
struct look {
    const struct guard_window *w;
    struct guard_sink *k;
    const struct secret *is;
    size_t start, tail; /* of the value; of what is behind the prefix */
    size_t end;         /* behind its last character in sight */
    size_t sight;       /* as far as its place may look */
    bool is_whole;      /* something else stands at `end`, or nothing */
};

static void tell(const struct look *l, unsigned percent, bool is_validated)
{
    guard_sink_add(l->k, l->start, l->end, GUARD_SECRET, percent, is_validated);
}

/* ---- checksums ---- */

static bool is_checksum(struct span text, struct span sum)
{
    uint64_t said = 0;
    return crypto_base62_parse(sum, &said) == ERR_OK && said == crypto_crc32(0, text);
}

static bool is_github(struct span value)
{
    struct span random = span_cut(value, GITHUB_PREFIX, value.len - GITHUB_PREFIX - CHECKSUM_CHARS);
    return is_checksum(random, span_cut(value, value.len - CHECKSUM_CHARS, CHECKSUM_CHARS));
}

static bool is_atlas(struct span value)
{
    size_t at = value.len - CHECKSUM_CHARS;
    return is_checksum(span_cut(value, 0, at), span_cut(value, at, CHECKSUM_CHARS));
}

/* ---- shapes ---- */

/* Whether what is behind the prefix looks random, as far as this kind has to. */
static bool is_random(const struct look *l)
{
    struct guard_secret_shape s;
    struct span tail = span_cut(l->w->text, l->tail, l->end - l->tail);
    guard_secret_measure(tail, &s);
    size_t least = tail.len < 2 * DIFFERENT_MIN ? tail.len / 2 : DIFFERENT_MIN;
    if (s.different < least || guard_secret_is_sample(tail)) {
        return false;
    }
    switch (l->is->shape) {
    case MIXED:
        return s.digits > 0 && s.lower + s.upper > 0 && s.bits >= MIXED_BITS;
    case CASES:
        return s.lower > 0 && s.upper > 0 && s.bits >= MIXED_BITS;
    default:
        return true;
    }
}

/* Three parts with dots between them, of which the second begins as the first. */
static bool is_jwt(const struct look *l)
{
    size_t dot = span_find(l->w->text, '.', l->start), behind;
    struct span second = SPAN("eyJ");
    if (dot >= l->end || dot - l->start < JWT_PART_MIN) {
        return false;
    }
    if (!l->is_whole && l->end - dot <= second.len) { /* of a head that is all that is in sight */
        return true;
    }
    behind = span_find(l->w->text, '.', dot + 1);
    return span_starts(span_cut(l->w->text, dot + 1, l->end), second) &&
           (!l->is_whole || (behind < l->end && behind - dot > JWT_PART_MIN));
}

/* The digits before: the value begins with them. */
static bool take_digits(struct look *l)
{
    size_t at = l->start;
    while (at > 0 && l->start - at <= TELEGRAM_MAX &&
           (guard_secret_kinds[l->w->text.at[at - 1]] & DIGIT) != 0) {
        at--;
    }
    size_t digits = l->start - at;
    l->start = at;
    return digits >= TELEGRAM_MIN && digits <= TELEGRAM_MAX;
}

static void judge(struct look *l)
{
    size_t len = l->end - l->tail;
    struct span value = span_cut(l->w->text, l->start, l->end - l->start);
    bool is_long = l->is->most != 0 && (len > l->is->most || !l->is_whole);
    if (len < l->is->least || is_long || !is_random(l)) {
        return;
    }
    if (l->is->shape == JWT && !is_jwt(l)) {
        return;
    }
    if (!l->is_whole) {
        guard_sink_add_open(l->k, l->start, l->sight, GUARD_SECRET, LIKELY_ONE, true);
        return;
    }
    if (l->is->shape == ATLAS) {
        tell(l, is_atlas(value) ? SURE : 60, is_atlas(value));
    } else if (l->is->shape == GITHUB) {
        tell(l, is_github(value) ? SURE : LIKELY_ONE, true);
    } else {
        tell(l, LIKELY_ONE, true);
    }
}

/* "-----BEGIN " stands at `start`. */
static void look_at_key(const struct look *l)
{
    struct span text = span_cut(l->w->text, 0, l->sight), mark = SPAN("PRIVATE KEY");
    size_t end = l->tail;
    size_t most = l->start + KEY_HEADER_BYTES < text.len ? l->start + KEY_HEADER_BYTES : text.len;
    while (end < most && ((guard_secret_kinds[text.at[end]] & UPPER) != 0 || text.at[end] == ' ')) {
        end++;
    }
    struct span words = span_cut(text, l->tail, end - l->tail);
    if (end == text.len) {
        guard_sink_wait(l->k, l->start);
    } else if (text.at[end] == '-' && memmem(words.at, words.len, mark.at, mark.len) != NULL) {
        guard_sink_add_open(l->k, l->start, end, GUARD_PRIVATE_KEY, SURE, true);
    }
}

/* ---- places ---- */

static bool is_alnum_before(struct span text, size_t at)
{
    return at > 0 && (guard_secret_kinds[text.at[at - 1]] & ALNUM) != 0;
}

static void look_at(const struct guard_window *w, struct guard_sink *k, const struct secret *is,
                    size_t start)
{
    struct look l = {.w = w, .k = k, .is = is, .start = start, .tail = start + is->prefix.len};
    bool has_digits = is->shape == TELEGRAM && take_digits(&l);
    l.start = is->shape == BEHIND ? l.tail : l.start;
    if (l.start < w->from || (is->shape == TELEGRAM && !has_digits) ||
        (is->shape != BEHIND && is_alnum_before(w->text, l.start))) {
        return;
    }
    l.sight = guard_behind(w, l.start);
    if (is->shape == KEY) {
        look_at_key(&l);
        return;
    }
    l.end = guard_secret_behind(w->text, l.tail, l.sight, is->alphabet);
    l.is_whole = l.end < l.sight ||
                 (l.sight == w->text.len && w->is_last && l.end - l.start <= GUARD_VALUE_BYTES);
    if (l.end == l.sight && guard_is_open(w, l.start)) {
        guard_sink_wait(k, l.start);
        return;
    }
    while (l.end > l.tail && l.is_whole && w->text.at[l.end - 1] == '.') { /* of the sentence */
        l.end--;
    }
    judge(&l);
}

static void look_at_place(const struct guard_window *w, struct guard_sink *k, size_t at)
{
    unsigned row = guard_triggers_row(&triggers, w->text, at);
    size_t end = at + GUARD_TRIGGER_BYTES;
    for (; row != 0; row = guard_triggers_more(&triggers, row)) {
        unsigned id = triggers.rows[row].id;
        if (id >= SECRETS) {
            guard_secret_words_look(w, id - (unsigned)SECRETS, end, k);
        } else if (span_ends(span_cut(w->text, 0, end), secrets[id].prefix)) {
            look_at(w, k, &secrets[id], end - secrets[id].prefix.len);
        }
    }
}

/* What the window's end may tear: the last word, if it is one that a prefix may stand in. */
static void wait_for_end(const struct guard_window *w, struct guard_sink *k)
{
    size_t at = w->text.len, most = at < PREFIX_MAX ? 0 : at - PREFIX_MAX;
    while (at > w->from && at > most &&
           ((guard_secret_kinds[w->text.at[at - 1]] & TOKEN_CHARS) != 0 ||
            w->text.at[at - 1] == ':')) {
        at--;
    }
    if (at < w->text.len) {
        guard_sink_wait(k, at);
    }
}

void guard_find_secrets(const struct guard_window *w, uint32_t types, struct guard_sink *k)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if ((types & (1u << GUARD_SECRET | 1u << GUARD_PRIVATE_KEY)) == 0 || w->text.len == 0) {
        return;
    }
    CHECK(pthread_once(&once, make_triggers) == 0);
    size_t at = guard_before(w, w->from);
    while ((at = guard_triggers_next(&triggers, w->text, at)) < w->text.len) {
        look_at_place(w, k, at);
        at++;
    }
    if (!w->is_last) {
        wait_for_end(w, k);
    }
}

size_t guard_secret_run(struct span text, size_t from)
{
    return guard_secret_behind(text, from, text.len, TOKEN_CHARS);
}
