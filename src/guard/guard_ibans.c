/* SPDX-License-Identifier: Apache-2.0 */
/* Bank accounts: a country, two digits that check all (mod 97), and as many characters as that
 * country's have. Passports: a letter or two and digits, behind a word that says so. */
#include "guard/guard_numbers.h"

#include "guard/guard_bytes.h"

#define IBAN_MAX          34
#define IBAN_HEAD         4 /* country and check digits, which are counted last */
#define IBAN_MODULUS      97
#define IBAN_BARE         97
#define IBAN_KEYED        99
#define LETTER_VALUE      10 /* of A */
#define HUNDRED           100
#define TEN               10
#define PASSPORT_SHORTEST 7
#define PASSPORT_LONGEST  10
#define PASSPORT_DIGITS   6  /* at least, in all */
#define PASSPORT_PLAIN    8  /* shortest without letters */
#define PASSPORT_NEAR     64 /* bytes to the word */
#define PASSPORT_KEYED    92
#define PASSPORT_NUMERIC  80

struct country {
    char code[3];
    uint8_t len;
};

static const struct country countries[] = {
#define GUARD_IBAN(country, len) {country, len},
#include "guard/guard_ibans.def"
#undef GUARD_IBAN
};

static uint8_t upper(uint8_t c)
{
    return guard_is_letter(c) ? (uint8_t)(c & ~0x20u) : c;
}

/* How long IBANs are of the country with these two letters; 0: it has none. */
static size_t iban_len(const uint8_t *at)
{
    for (size_t i = 0; i < sizeof(countries) / sizeof(countries[0]); i++) {
        if (upper(at[0]) == countries[i].code[0] && upper(at[1]) == countries[i].code[1]) {
            return countries[i].len;
        }
    }
    return 0;
}

static bool is_iban(const uint8_t *chars, size_t len)
{
    unsigned rest = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = chars[(i + IBAN_HEAD) % len];
        unsigned value = guard_is_digit(c) ? c - '0' : c - 'A' + LETTER_VALUE;
        rest = (rest * (guard_is_digit(c) ? TEN : HUNDRED) + value) % IBAN_MODULUS;
    }
    return rest == 1;
}

/* Reads `len` letters and digits, with a blank or dash between; returns where they end, or 0:
 * there are none, or SIZE_MAX: who knows. */
static size_t read_iban(const struct guard_window *w, const struct guard_number *n, size_t at,
                        size_t len, uint8_t chars[IBAN_MAX])
{
    size_t count = 0;
    while (count < len && at < n->behind) {
        uint8_t c = w->text.at[at];
        if (guard_is_alnum(c)) {
            chars[count++] = upper(c);
        } else if ((c != ' ' && c != '-') || !guard_is_alnum(w->text.at[at - 1])) {
            return 0;
        }
        at++;
    }
    bool is_cut = at == n->behind && at == w->text.len && guard_is_open(w, n->place);
    return is_cut ? SIZE_MAX : count == len ? at : 0;
}

/* Whether something stands directly before the letters at `at`. */
static bool is_free(const struct guard_window *w, const struct guard_number *n, size_t at)
{
    return guard_edge_before(w, n, at) != GUARD_EDGE_INSIDE;
}

static void wait_for(struct guard_numbers *n, size_t at)
{
    guard_sink_wait(n->sink, at > n->window->from ? at : n->window->from);
}

void guard_find_ibans(struct guard_numbers *n)
{
    const struct guard_window *w = n->window;
    const struct guard_number *d = &n->number;
    size_t start = d->start - 2, distance, end;
    uint8_t chars[IBAN_MAX];
    if (d->start < d->place + 2 || !guard_is_letter(w->text.at[start]) ||
        !guard_is_letter(w->text.at[start + 1])) {
        return;
    }
    size_t len = iban_len(w->text.at + start);
    if (len == 0 || !is_free(w, d, start)) {
        return;
    }
    end = read_iban(w, d, start, len, chars);
    if (end == SIZE_MAX) {
        wait_for(n, d->place);
        return;
    }
    if (end == 0 || (end < d->behind && guard_is_alnum(w->text.at[end])) || !is_iban(chars, len)) {
        return;
    }
    bool is_keyed = guard_hint_before(&n->hints, start, HINT_BIT(BANK), &distance) != 0;
    guard_sink_add(n->sink, start, end, GUARD_IBAN, is_keyed ? IBAN_KEYED : IBAN_BARE, true);
}

/* ---- passports ---- */

/* A run of letters and digits. */
struct token {
    size_t start, end, digits;
};

static struct token token_of(const struct guard_window *w, const struct guard_number *n)
{
    struct token t = {.start = n->start, .end = n->start};
    while (t.start > n->place && guard_is_letter(w->text.at[t.start - 1])) {
        t.start--;
    }
    while (t.end < n->behind && guard_is_alnum(w->text.at[t.end]) &&
           t.end - t.start <= PASSPORT_LONGEST) {
        t.digits += guard_is_digit(w->text.at[t.end]);
        t.end++;
    }
    return t;
}

void guard_find_passports(struct guard_numbers *n)
{
    const struct guard_window *w = n->window;
    const struct guard_number *d = &n->number;
    size_t first = d->groups > 0 ? d->group[0].digits : GUARD_DIGITS_MAX;
    if (first > PASSPORT_LONGEST ||
        (first < PASSPORT_DIGITS && !d->is_open && !guard_is_letter(w->text.at[d->group[0].end]))) {
        return;
    }
    struct token t = token_of(w, d);
    size_t len = t.end - t.start, distance;
    bool is_plain = t.digits == len;
    bool is_cut = t.end == d->behind && t.end == w->text.len && guard_is_open(w, d->place);
    if (len > PASSPORT_LONGEST || !is_free(w, d, t.start)) {
        return;
    }
    if (is_cut) {
        wait_for(n, d->place);
        return;
    }
    if (len < (is_plain ? PASSPORT_PLAIN : PASSPORT_SHORTEST) || t.digits < PASSPORT_DIGITS) {
        return;
    }
    uint32_t hint = guard_hint_before(&n->hints, t.start,
                                      HINT_BIT(PASSPORT) | HINT_BIT(ORDER) | HINT_BIT(PHONE) |
                                          HINT_BIT(IQAMA) | HINT_BIT(BIRTH),
                                      &distance);
    if ((hint & HINT_BIT(PASSPORT)) != 0 && distance <= PASSPORT_NEAR) {
        guard_sink_add(n->sink, t.start, t.end, GUARD_PASSPORT,
                       is_plain ? PASSPORT_NUMERIC : PASSPORT_KEYED, false);
    }
}
