/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry is read as tokens: words, and single signs. Each of its beginnings that ends with a
 * token
 * ("new", "new york", "new york city") has a place in one table, by the hash of its folded
 * characters. So a text is hashed as it is read, and after each word one look says whether an entry
 * ends here, or may go on; a small set of bits, of first words, says no to most before that.
 *
 * Where the hash says yes, the characters are compared.
 */
#include "guard/guard_words.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/memory.h"
#include "guard/guard_letters.h"

#define FIRST_ENTRIES  64
#define LIST_BYTES_MAX (64 << 20)
#define BITS_MIN       (1u << 12)
#define BITS_A_WORD    8
#define NONE           UINT32_MAX
#define TEXT_MAX       ((size_t)GUARD_WORDS_MAX * GUARD_VALUE_BYTES)
#define FOLDED_MAX     (2 * GUARD_VALUE_BYTES) /* of an entry; folding makes few characters longer */
#define HASH_SEED      UINT64_C(0xcbf29ce484222325)
#define HASH_FACTOR    UINT64_C(0x9e3779b97f4a7c15)
#define FAULT_WORD     40 /* bytes that are quoted */

struct entry {
    uint32_t at;  /* in `text` */
    uint16_t len; /* folded, or of a dictionary as it is */
    uint16_t type;
    bool is_exact;
    uint32_t same; /* the next with the same hash; NONE */
};

/* A beginning. A key of 0: free. */
struct slot {
    uint64_t key;
    uint32_t entry; /* that ends here, the first of `same`; NONE */
    bool goes_on;   /* it is the beginning of a longer one */
};

struct guard_words {
    struct buf text;
    struct entry *entries;
    size_t count, room, tokens;
    struct slot *slots;
    uint64_t mask; /* their number − 1 */
    uint64_t *bits;
    uint64_t bit_mask;
    bool has_signs; /* an entry begins with one */
};

enum err guard_words_new(struct guard_words **out)
{
    struct guard_words *w = *out = memory_new(sizeof(*w));
    if (w == NULL) {
        return ERR_NO_MEMORY;
    }
    buf_init(&w->text, TEXT_MAX);
    return ERR_OK;
}

void guard_words_free(struct guard_words **words)
{
    struct guard_words *w = *words;
    *words = NULL;
    if (w != NULL) {
        buf_fini(&w->text);
        memory_free(w->entries);
        memory_free(w->slots);
        memory_free(w->bits);
        memory_free(w);
    }
}

/* ---- reading characters ---- */

static inline uint64_t hash_step(uint64_t hash, uint32_t code)
{
    hash = (hash ^ code) * HASH_FACTOR;
    return hash ^ hash >> 32;
}

/* A token of a text: a word with its marks, or a sign. */
struct token {
    uint64_t hash; /* of all up to its end */
    size_t end;
    bool is_word;
};

/* The token at `at`, where no blank is. */
static struct token read_token(struct span text, size_t at, uint64_t hash)
{
    const uint8_t *p = text.at + at, *end = text.at + text.len;
    struct guard_letter c = guard_letter_at(p, end);
    struct token t = {.hash = hash, .is_word = c.kind == GUARD_LETTER};
    if (!t.is_word) {
        t.hash = hash_step(hash, c.code);
        t.end = at + c.bytes;
        return t;
    }
    while (c.kind <= GUARD_MARK) {
        t.hash = c.kind == GUARD_LETTER ? hash_step(t.hash, c.code) : t.hash;
        p += c.bytes;
        if (p == end) {
            break;
        }
        c = guard_letter_at(p, end);
    }
    t.end = (size_t)(p - text.at);
    return t;
}

static size_t skip_blanks(struct span text, size_t at)
{
    while (at < text.len) {
        struct guard_letter c = guard_letter_at(text.at + at, text.at + text.len);
        if (c.kind != GUARD_BLANK && c.kind != GUARD_MARK) {
            break;
        }
        at += c.bytes;
    }
    return at;
}

static size_t put_code(uint8_t *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xC0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xE0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (code & 0x3F));
    return 4;
}

/* The text with one blank for many; folded, or as it is. */
static size_t normalise(struct span text, bool is_exact, uint8_t out[FOLDED_MAX])
{
    size_t len = 0;
    bool is_blank = false;
    for (size_t i = 0; i < text.len && len + 5 <= FOLDED_MAX;) {
        struct guard_letter c = guard_letter_at(text.at + i, text.at + text.len);
        if (c.kind == GUARD_BLANK) {
            is_blank = true;
        } else if (c.kind != GUARD_MARK || is_exact) {
            if (is_blank) {
                out[len++] = ' ';
            }
            is_blank = false;
            if (is_exact) {
                memcpy(out + len, text.at + i, c.bytes);
                len += c.bytes;
            } else {
                len += put_code(out + len, c.code);
            }
        }
        i += c.bytes;
    }
    return len;
}

/* ---- making ---- */

static enum err PRINTF_LIKE(3, 4)
    refuse(char fault[GUARD_RULES_FAULT], size_t line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = snprintf(fault, GUARD_RULES_FAULT, "line %zu: ", line);            /* fits */
    (void)vsnprintf(fault + len, GUARD_RULES_FAULT - (size_t)len, format, args); /* or cut */
    va_end(args);
    return ERR_CONFIG;
}

static enum err make_room(struct guard_words *w)
{
    if (w->count < w->room) {
        return ERR_OK;
    }
    size_t room = w->room == 0 ? FIRST_ENTRIES : 2 * w->room;
    struct entry *entries = memory_resize(w->entries, room * sizeof(*entries));
    if (entries == NULL) {
        return ERR_NO_MEMORY;
    }
    w->entries = entries;
    w->room = room;
    return ERR_OK;
}

static size_t count_tokens(struct span text)
{
    size_t count = 0;
    for (size_t at = skip_blanks(text, 0); at < text.len; at = skip_blanks(text, at)) {
        at = read_token(text, at, 0).end;
        count++;
    }
    return count;
}

static enum err add_entry(struct guard_words *w, struct span text, unsigned type, bool is_exact)
{
    uint8_t folded[FOLDED_MAX];
    enum err e = make_room(w);
    if (e != ERR_OK) {
        return e;
    }
    size_t len = normalise(text, is_exact, folded);
    w->entries[w->count++] = (struct entry){.at = (uint32_t)buf_span(&w->text).len,
                                            .len = (uint16_t)len,
                                            .type = (uint16_t)type,
                                            .is_exact = is_exact,
                                            .same = NONE};
    buf_put(&w->text, span_make(folded, len));
    w->tokens += count_tokens(text);
    return buf_failed(&w->text) ? ERR_NO_MEMORY : ERR_OK;
}

/* Without blanks at either end. */
static struct span trim(struct span s)
{
    s = span_cut(s, skip_blanks(s, 0), s.len);
    size_t end = 0;
    for (size_t at = 0; at < s.len; at = skip_blanks(s, at)) {
        at = end = read_token(s, at, 0).end;
    }
    return span_cut(s, 0, end);
}

/* Whether all of it is UTF-8. */
static bool is_utf8(struct span s)
{
    for (size_t i = 0; i < s.len;) {
        struct guard_letter c = guard_letter_at(s.at + i, s.at + s.len);
        if (c.bytes == 1 && s.at[i] >= sizeof(guard_letter_kinds)) {
            return false;
        }
        i += c.bytes;
    }
    return true;
}

static enum err add_line(struct guard_words *w, struct span line, size_t number, unsigned type,
                         bool is_exact, char fault[GUARD_RULES_FAULT])
{
    if (!is_utf8(line)) {
        return refuse(fault, number, "it is not UTF-8");
    }
    struct span word = trim(line);
    if (word.len == 0 || word.at[0] == '#') {
        return ERR_OK;
    }
    if (word.len > GUARD_VALUE_BYTES) {
        return refuse(fault, number, "`%.*s…` is longer than %d bytes",
                      SPAN_ARGS(span_cut_text(word, FAULT_WORD)), GUARD_VALUE_BYTES);
    }
    if (w->count == GUARD_WORDS_MAX) {
        return refuse(fault, number, "there are more than %d entries in all lists together",
                      GUARD_WORDS_MAX);
    }
    return add_entry(w, word, type, is_exact);
}

static enum err add_lines(struct guard_words *w, struct span text, unsigned type, bool is_exact,
                          char fault[GUARD_RULES_FAULT])
{
    enum err e = ERR_OK;
    size_t at = 0;
    for (size_t number = 1; at < text.len && e == ERR_OK; number++) {
        size_t end = span_find(text, '\n', at);
        e = add_line(w, span_cut(text, at, end - at), number, type, is_exact, fault);
        at = end + 1;
    }
    return e;
}

/* Texts are folded before they are looked at, so the words are as well. */
enum err guard_words_add(struct guard_words *w, struct span text, unsigned type, bool is_exact,
                         char fault[GUARD_RULES_FAULT])
{
    struct text_fold folded;
    if (text.len > LIST_BYTES_MAX) {
        return refuse(fault, 1, "the list has more than %d MiB", LIST_BYTES_MAX >> 20);
    }
    text_fold_init(&folded);
    enum err e = text_fold(&folded, text);
    e = e == ERR_OK ? add_lines(w, folded.text, type, is_exact, fault) : e;
    text_fold_fini(&folded);
    return e;
}

/* ---- the table ---- */

static struct slot *slot_of(const struct guard_words *w, uint64_t hash)
{
    uint64_t key = hash | 1;
    size_t i = (size_t)(hash >> 8 & w->mask);
    while (w->slots[i].key != key && w->slots[i].key != 0) {
        i = (i + 1) & w->mask;
    }
    return &w->slots[i];
}

static struct slot *take_slot(struct guard_words *w, uint64_t hash)
{
    struct slot *s = slot_of(w, hash);
    if (s->key == 0) {
        *s = (struct slot){.key = hash | 1, .entry = NONE};
    }
    return s;
}

static struct span text_of(const struct guard_words *w, const struct entry *e)
{
    return span_cut(buf_span(&w->text), e->at, e->len);
}

/* Behind those of the same hash, unless it is there. */
static void chain(struct guard_words *w, struct slot *s, uint32_t number)
{
    uint32_t *at = &s->entry;
    struct entry *e = &w->entries[number];
    while (*at != NONE) {
        const struct entry *other = &w->entries[*at];
        if (other->type == e->type && span_equal(text_of(w, other), text_of(w, e))) {
            return;
        }
        at = &w->entries[*at].same;
    }
    *at = number;
}

static void enter(struct guard_words *w, uint32_t number)
{
    struct span text = text_of(w, &w->entries[number]);
    uint64_t hash = HASH_SEED;
    for (size_t at = 0; at < text.len;) {
        struct token t = read_token(text, at, hash);
        if (at == 0) {
            w->bits[(t.hash & w->bit_mask) / 64] |= UINT64_C(1) << (t.hash % 64);
            w->has_signs = w->has_signs || !t.is_word;
        }
        struct slot *s = take_slot(w, t.hash);
        at = skip_blanks(text, t.end);
        if (at == text.len) {
            chain(w, s, number);
        } else {
            s->goes_on = true;
            hash = at > t.end ? hash_step(t.hash, ' ') : t.hash;
        }
    }
}

static uint64_t power_above(uint64_t n, uint64_t least)
{
    while (least < n) {
        least *= 2;
    }
    return least;
}

enum err guard_words_seal(struct guard_words *w)
{
    uint64_t slots = power_above(2 * w->tokens, FIRST_ENTRIES);
    uint64_t bits = power_above(BITS_A_WORD * w->count, BITS_MIN);
    w->slots = memory_new_array((size_t)slots, sizeof(*w->slots));
    w->bits = memory_new_array((size_t)bits / 64, sizeof(*w->bits));
    if (w->slots == NULL || w->bits == NULL) {
        return ERR_NO_MEMORY;
    }
    w->mask = slots - 1;
    w->bit_mask = bits - 1;
    for (size_t i = 0; i < w->count; i++) {
        enter(w, (uint32_t)i);
    }
    return ERR_OK;
}

/* ---- finding ---- */

struct search {
    const struct guard_words *words;
    const struct guard_window *w;
    struct guard_sink *k;
};

static void tell(const struct search *s, uint32_t number, size_t start, size_t end)
{
    uint8_t folded[FOLDED_MAX], exact[FOLDED_MAX];
    struct span text = span_cut(s->w->text, start, end - start);
    struct span forms[] = {span_make(folded, normalise(text, false, folded)),
                           span_make(exact, normalise(text, true, exact))};
    while (number != NONE) {
        const struct entry *e = &s->words->entries[number];
        if (span_equal(text_of(s->words, e), forms[e->is_exact])) {
            guard_sink_add(s->k, start, end, e->type, 100, true);
        }
        number = e->same;
    }
}

/* The entries that begin at `start`. */
static void follow(const struct search *s, size_t start)
{
    struct span text = span_cut(s->w->text, 0, guard_behind(s->w, start));
    bool is_open = guard_is_open(s->w, start);
    struct token t = read_token(text, start, HASH_SEED);
    for (;;) {
        if (t.end == text.len && is_open) {
            guard_sink_wait(s->k, start);
            return;
        }
        const struct slot *slot = slot_of(s->words, t.hash);
        if (slot->key == 0) {
            return;
        }
        if (slot->entry != NONE) {
            tell(s, slot->entry, start, t.end);
        }
        size_t at = skip_blanks(text, t.end);
        if (slot->goes_on && at == text.len && is_open) {
            guard_sink_wait(s->k, start);
        }
        if (!slot->goes_on || at == text.len) {
            return;
        }
        t = read_token(text, at, at > t.end ? hash_step(t.hash, ' ') : t.hash);
    }
}

static inline bool may_begin(const struct guard_words *words, uint64_t hash)
{
    return (words->bits[(hash & words->bit_mask) / 64] >> (hash % 64) & 1) != 0;
}

void guard_words_find(const struct guard_words *words, const struct guard_window *w,
                      struct guard_sink *k)
{
    struct search s = {.words = words, .w = w, .k = k};
    size_t at = w->from;
    if (at < w->text.len && guard_letter_before(w->text, at)) { /* the middle of a word */
        struct guard_letter c = guard_letter_at(w->text.at + at, w->text.at + w->text.len);
        at = c.kind <= GUARD_MARK ? read_token(w->text, at, 0).end : at;
    }
    while (at < w->text.len) {
        struct guard_letter c = guard_letter_at(w->text.at + at, w->text.at + w->text.len);
        if (c.kind != GUARD_LETTER && (c.kind != GUARD_SIGN || !words->has_signs)) {
            at += c.bytes;
            continue;
        }
        struct token t = read_token(w->text, at, HASH_SEED);
        bool is_cut = t.end == w->text.len && !w->is_last;
        if (is_cut || may_begin(words, t.hash)) {
            follow(&s, at);
        }
        at = t.end;
    }
}
