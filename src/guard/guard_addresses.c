/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for the signs that addresses have, and asks there. Text without them costs little. */
#include "guard/guard_addresses.h"

#include "guard/guard_bytes.h"

#define TYPES                                                               \
    (1u << GUARD_EMAIL | 1u << GUARD_IP_ADDRESS | 1u << GUARD_MAC_ADDRESS | \
     1u << GUARD_URL_CREDENTIALS)
#define SIGN_BEFORE   3  /* bytes of "://" */
#define HOST_TAIL_MAX 50 /* bytes of the longest address of a host */

typedef uint8_t block __attribute__((vector_size(16)));

static bool is_sign(uint8_t c)
{
    return c == '@' || c == ':' || c == '.' || c == '-' || c == '[' || c == '(';
}

/* The first sign at or after `at`, or the text's end. */
static size_t find_sign(struct span s, size_t at)
{
    while (s.len - at >= sizeof(block)) {
        block b;
        uint64_t halves[2];
        memcpy(&b, s.at + at, sizeof(b));
        b = (block)((b == '@') | (b == ':') | (b == '.') | (b == '-') | (b == '[') | (b == '('));
        memcpy(halves, &b, sizeof(halves));
        if ((halves[0] | halves[1]) != 0) {
            break;
        }
        at += sizeof(block);
    }
    while (at < s.len && !is_sign(s.at[at])) {
        at++;
    }
    return at;
}

static bool wants(const struct guard_addresses *a, unsigned type)
{
    return (a->types >> type & 1) != 0;
}

static void ask_at_colon(struct guard_addresses *a, size_t at)
{
    struct span s = a->window->text;
    if (at + 2 < s.len && s.at[at + 1] == '/' && s.at[at + 2] == '/') {
        if (wants(a, GUARD_URL_CREDENTIALS)) {
            guard_find_credentials(a, at);
        }
        return;
    }
    if (at > 0 && s.at[at - 1] == ' ') { /* ":" of a time or a name, not of "::1" */
        if (at + 1 < s.len && s.at[at + 1] != ':') {
            return;
        }
    }
    guard_find_mac(a, at);
    if (wants(a, GUARD_IP_ADDRESS)) {
        guard_find_ipv6(a, at);
    }
}

static void ask(struct guard_addresses *a, size_t at)
{
    struct span s = a->window->text;
    bool is_behind_hex = at > 0 && guard_is_hex(s.at[at - 1]);
    switch (s.at[at]) {
    case '@':
        if (wants(a, GUARD_EMAIL)) {
            guard_find_email(a, at);
        }
        break;
    case ':':
        ask_at_colon(a, at);
        break;
    case '.':
        if (is_behind_hex && guard_is_digit(s.at[at - 1]) && wants(a, GUARD_IP_ADDRESS)) {
            guard_find_ipv4(a, at);
        }
        if (is_behind_hex) {
            guard_find_mac(a, at);
        }
        break;
    case '-':
        if (is_behind_hex) {
            guard_find_mac(a, at);
        }
        break;
    default:
        if (wants(a, GUARD_EMAIL)) {
            guard_find_email_spelt(a, at);
        }
    }
}

bool guard_waits_at(const struct guard_addresses *a, size_t start, size_t at)
{
    const struct guard_window *w = a->window;
    if (at != w->text.len || !guard_is_open(w, start)) {
        return false;
    }
    guard_sink_wait(a->sink, start);
    return true;
}

/* What the window ends with may be an address's beginning. */
static void wait_at_end(struct guard_addresses *a)
{
    const struct guard_window *w = a->window;
    size_t at = w->text.len;
    if (wants(a, GUARD_EMAIL)) {
        guard_sink_wait(a->sink, guard_email_tail(w));
    }
    while (at > w->from && w->text.len - at < HOST_TAIL_MAX &&
           (guard_is_hex(w->text.at[at - 1]) || (is_sign(w->text.at[at - 1])))) {
        at--;
    }
    if (at < w->text.len && w->text.len - at < HOST_TAIL_MAX) {
        guard_sink_wait(a->sink, at);
    }
}

void guard_find_addresses(const struct guard_window *w, uint32_t types, struct guard_sink *k)
{
    struct guard_addresses a;
    if ((types & TYPES) == 0) {
        return;
    }
    a.window = w;
    a.sink = k;
    a.types = types;
    guard_hints_begin(&a.hints, w);
    /* The sign of credentials stands before them. */
    size_t from = w->from > SIGN_BEFORE ? w->from - SIGN_BEFORE : 0;
    for (size_t at = find_sign(w->text, from); at < w->text.len; at = find_sign(w->text, at + 1)) {
        ask(&a, at);
    }
    if (!w->is_last) {
        wait_at_end(&a);
    }
}
