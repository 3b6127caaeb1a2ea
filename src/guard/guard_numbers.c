/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for digits, and asks of each number what it may be. Text without digits costs little. */
#include "guard/guard_numbers.h"

#include "guard/guard_bytes.h"

#define TYPES                                                                                     \
    (1u << GUARD_PHONE | 1u << GUARD_CREDIT_CARD | 1u << GUARD_IBAN | 1u << GUARD_SAUDI_ID |      \
     1u << GUARD_IQAMA | 1u << GUARD_EMIRATES_ID | 1u << GUARD_QATAR_ID | 1u << GUARD_KUWAIT_ID | \
     1u << GUARD_BAHRAIN_ID | 1u << GUARD_OMAN_ID | 1u << GUARD_EGYPT_ID | 1u << GUARD_PASSPORT | \
     1u << GUARD_DATE_OF_BIRTH)
#define LONG        7 /* digits of the shortest number of a person or a telephone */
#define YEAR_DIGITS 4
#define TAIL        3 /* bytes before digits that may belong to the value */

typedef uint8_t block __attribute__((vector_size(16)));

/* The first digit at or after `at`, or the text's end. */
static size_t find_digit(struct span s, size_t at)
{
    while (s.len - at >= sizeof(block)) {
        block b;
        uint64_t halves[2];
        memcpy(&b, s.at + at, sizeof(b));
        b = (block)((b - '0') < 10);
        memcpy(halves, &b, sizeof(halves));
        if ((halves[0] | halves[1]) != 0) {
            break;
        }
        at += sizeof(block);
    }
    while (at < s.len && !guard_is_digit(s.at[at])) {
        at++;
    }
    return at;
}

static void ask(struct guard_numbers *n)
{
    const struct guard_number *d = &n->number;
    bool is_long = d->groups > 0 && d->group[d->groups - 1].digits >= LONG;
    if (is_long) {
        guard_find_ids(n);
    }
    if (is_long && guard_wants(n, GUARD_CREDIT_CARD)) {
        guard_find_cards(n);
    }
    if (is_long && guard_wants(n, GUARD_PHONE)) {
        guard_find_phones(n);
    }
    if (d->start >= d->place + 2 && guard_wants(n, GUARD_IBAN)) {
        guard_find_ibans(n);
    }
    if (guard_wants(n, GUARD_PASSPORT)) {
        guard_find_passports(n);
    }
    if (d->groups > 0 && guard_group_size(d, 0) <= YEAR_DIGITS &&
        guard_wants(n, GUARD_DATE_OF_BIRTH)) {
        guard_find_births(n);
    }
}

/* Signs and letters that the window ends with may be a value's first ones. */
static void wait_at_end(struct guard_numbers *n)
{
    const struct guard_window *w = n->window;
    size_t at = w->text.len;
    while (at > w->from && w->text.len - at < TAIL) {
        uint8_t c = w->text.at[at - 1];
        if (c != '+' && c != '(' && !guard_is_letter(c)) {
            break;
        }
        at--;
    }
    if (at < w->text.len) {
        guard_sink_wait(n->sink, at);
    }
    if (guard_wants(n, GUARD_DATE_OF_BIRTH)) {
        guard_wait_for_births(n);
    }
}

void guard_find_numbers(const struct guard_window *w, uint32_t types, struct guard_sink *k)
{
    struct guard_numbers n;
    if ((types & TYPES) == 0) {
        return;
    }
    n.window = w;
    n.sink = k;
    n.types = types;
    guard_hints_begin(&n.hints, w);
    for (size_t at = find_digit(w->text, w->from); at < w->text.len;) {
        if (at == 0 || !guard_is_digit(w->text.at[at - 1])) {
            guard_number_read(w, at, &n.number);
            if (n.number.is_open) {
                guard_sink_wait(k, n.number.place > w->from ? n.number.place : w->from);
            }
            ask(&n);
        }
        while (at < w->text.len && guard_is_digit(w->text.at[at])) {
            at++;
        }
        at = find_digit(w->text, at);
    }
    if (!w->is_last) {
        wait_at_end(&n);
    }
}
