/* SPDX-License-Identifier: Apache-2.0 */
/* E-mail addresses, and credentials in URLs. */
#include "guard/guard_addresses.h"

#include "guard/guard_bytes.h"

#define LABEL_MAX    63
#define DOMAIN_MAX   190 /* bytes: with the rest of it a value is found */
#define TOP_SHORTEST 2
#define TOP_LONGEST  24
#define USUAL        97
#define SPELT        80
#define UNUSUAL      40 /* of an example */
#define FILE_NAME    20 /* icon@2x.png */
#define PASSWORD     95
#define SCHEME_MIN   2

static bool is_local(uint8_t c)
{
    return guard_is_alnum(c) || c == '.' || c == '_' || c == '-' || c == '+' || c == '%' ||
           c == '\'';
}

/* Where the run of bytes ends, backwards from `end`, that may stand before an @; of other scripts
 * too if `is_wide`. `end`: there is none, or it is too long. */
static size_t local_start(const struct guard_window *w, size_t end, bool is_wide)
{
    size_t at = end, from = guard_before(w, end < w->text.len ? end : end - 1);
    while (at > from &&
           (is_local(w->text.at[at - 1]) || (is_wide && guard_is_wide(w->text.at[at - 1])))) {
        at--;
        if (end - at > GUARD_LOCAL_MAX) {
            return end;
        }
    }
    return at;
}

/* Without signs that no name begins with. */
static size_t trim(const struct guard_window *w, size_t at, size_t end)
{
    while (at < end && !guard_is_alnum(w->text.at[at]) && w->text.at[at] != '_' &&
           !guard_is_wide(w->text.at[at])) {
        at++;
    }
    return at;
}

size_t guard_email_tail(const struct guard_window *w)
{
    size_t end = w->text.len;
    if (end == 0) {
        return end;
    }
    if (w->text.at[end - 1] == ' ') {
        end--; /* "name [at] host" */
    }
    if (end == 0) {
        return w->text.len;
    }
    size_t at = local_start(w, end, true);
    if (at == end) {
        at = local_start(w, end, false);
    }
    return at == end ? w->text.len : at;
}

/* ---- domains ---- */

/* A domain as it is read. */
struct domain {
    size_t end;    /* behind its last label */
    size_t labels; /* with a dot before, but the first */
    size_t top;    /* where its last label begins */
    bool is_cut;   /* it may go on */
};

/* Takes the letters and digits of a label, of ASCII or of other scripts; returns its end. */
static size_t label_end(struct span s, size_t at, size_t to)
{
    size_t start = at;
    bool is_wide = at < to && guard_is_wide(s.at[at]);
    while (at < to && is_wide && guard_is_wide(s.at[at])) {
        at++;
    }
    while (at < to && !is_wide && at - start < LABEL_MAX &&
           (guard_is_alnum(s.at[at]) || s.at[at] == '-')) {
        at++;
    }
    while (at > start && s.at[at - 1] == '-' && at < to) {
        at--;
    }
    return at;
}

/* Behind "word" between brackets or blanks, at `at`; `at`: it is not there; `to`: it is cut. */
static size_t take_spelt(struct span s, size_t at, size_t to, const char *word)
{
    size_t i = at, len = strlen(word);
    bool is_open = false, is_blank = false;
    while (i < to && s.at[i] == ' ' && i - at < 1) {
        is_blank = true;
        i++;
    }
    if (i < to && (s.at[i] == '[' || s.at[i] == '(')) {
        is_open = true;
        i++;
    }
    for (size_t c = 0; c < len; c++, i++) {
        if (i >= to) {
            return to;
        }
        if (guard_lower(s.at[i]) != (uint8_t)word[c]) {
            return at;
        }
    }
    if (i >= to) {
        return to;
    }
    if (is_open ? s.at[i] != ']' && s.at[i] != ')' : !is_blank || s.at[i] != ' ') {
        return at;
    }
    i++;
    return is_open && i < to && s.at[i] == ' ' ? i + 1 : i;
}

/* Reads labels from `at` on; `is_spelt`: a dot may be a word. */
static struct domain read_domain(struct span s, size_t at, size_t to, bool is_spelt)
{
    struct domain d = {.end = at, .is_cut = at >= to};
    size_t from = at;
    for (;;) {
        size_t end = label_end(s, at, to), next = end;
        if (end == at || end - from > DOMAIN_MAX) {
            return d; /* the sign before was none of it */
        }
        d.top = at;
        d.end = end;
        d.labels++;
        d.is_cut = end == to;
        if (d.is_cut) {
            return d;
        }
        if (s.at[end] == '.') {
            next = end + 1;
        } else if (is_spelt) {
            next = take_spelt(s, end, to, "dot");
        }
        if (next == end) {
            return d;
        }
        d.is_cut = next >= to;
        if (d.is_cut) {
            return d;
        }
        at = next;
    }
}

static bool is_top(struct span top)
{
    bool is_wide = top.len > 0 && guard_is_wide(top.at[0]);
    if (top.len < TOP_SHORTEST || (top.len > TOP_LONGEST && !is_wide)) {
        return false;
    }
    for (size_t i = 0; i < top.len && !is_wide; i++) {
        if (!guard_is_letter(top.at[i]) && !span_equal_nocase(span_cut(top, 0, 4), SPAN("xn--"))) {
            return false;
        }
    }
    return true;
}

/* Whether it is one, and ends where no word goes on. */
static bool is_domain(struct span s, const struct domain *d, size_t to)
{
    return d->labels > 1 && is_top(span_cut(s, d->top, d->end - d->top)) &&
           (d->end >= to || !guard_is_alnum(s.at[d->end]) || guard_is_wide(s.at[d->end - 1]));
}

/* Whether `domain` is `name` or below it. */
static bool is_of(struct span domain, const char *name)
{
    struct span n = span_of(name), end = span_cut(domain, domain.len - n.len, n.len);
    return domain.len >= n.len && span_equal_nocase(end, n) &&
           (domain.len == n.len || domain.at[domain.len - n.len - 1] == '.');
}

static bool is_any_of(struct span domain, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (is_of(domain, *names)) {
            return true;
        }
    }
    return false;
}

static unsigned email_percent(struct span domain)
{
    static const char *const examples[] = {"example.com", "example.org", "example.net", "example",
                                           "test",        "invalid",     "localhost",   NULL};
    static const char *const files[] = {"png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", NULL};
    return is_any_of(domain, examples) ? UNUSUAL : is_any_of(domain, files) ? FILE_NAME : USUAL;
}

void guard_find_email(struct guard_addresses *a, size_t at)
{
    const struct guard_window *w = a->window;
    if (at == 0) {
        return;
    }
    size_t start = local_start(w, at, guard_is_wide(w->text.at[at - 1]));
    start = trim(w, start, at);
    if (start >= at || w->text.at[at - 1] == '.') {
        return;
    }
    size_t to = guard_behind(w, start);
    struct domain d = read_domain(w->text, at + 1, to, false);
    if (d.is_cut && guard_waits_at(a, start, to)) {
        return;
    }
    if (!is_domain(w->text, &d, to)) {
        return;
    }
    guard_sink_add(a->sink, start, d.end, GUARD_EMAIL,
                   email_percent(span_cut(w->text, at + 1, d.end - at - 1)), false);
}

void guard_find_email_spelt(struct guard_addresses *a, size_t at)
{
    const struct guard_window *w = a->window;
    size_t end = at > 0 && w->text.at[at - 1] == ' ' ? at - 1 : at;
    size_t start = end == 0 ? end : trim(w, local_start(w, end, false), end);
    if (start >= end) {
        return;
    }
    size_t to = guard_behind(w, start), next = take_spelt(w->text, at, to, "at");
    if (next == at) {
        next = take_spelt(w->text, at, to, "@");
    }
    if (next >= to) {
        (void)guard_waits_at(a, start, to);
        return;
    }
    if (next == at) {
        return;
    }
    struct domain d = read_domain(w->text, next, to, true);
    if ((d.is_cut && guard_waits_at(a, start, to)) || !is_domain(w->text, &d, to)) {
        return;
    }
    guard_sink_add(a->sink, start, d.end, GUARD_EMAIL, SPELT, false);
}

/* ---- credentials ---- */

static bool ends_authority(uint8_t c)
{
    return c <= ' ' || c == '/' || c == '?' || c == '#' || c == '"' || c == '<' || c == '>' ||
           c == '\\' || c == '`';
}

void guard_find_credentials(struct guard_addresses *a, size_t at)
{
    const struct guard_window *w = a->window;
    size_t start = at + sizeof("://") - 1, to, end = 0, colon = 0, scheme = 0;
    while (scheme < SCHEME_MIN && scheme < at && guard_is_alnum(w->text.at[at - 1 - scheme])) {
        scheme++;
    }
    if (scheme < SCHEME_MIN || start >= w->text.len) {
        return;
    }
    to = guard_behind(w, start);
    size_t i = start;
    for (; i < to && !ends_authority(w->text.at[i]); i++) {
        colon = w->text.at[i] == ':' && colon == 0 ? i : colon;
        end = w->text.at[i] == '@' ? i : end;
    }
    if (i == to && guard_waits_at(a, start, i)) {
        return;
    }
    if (colon >= start && end > colon + 1 && end + 1 < i) {
        guard_sink_add(a->sink, start, end, GUARD_URL_CREDENTIALS, PASSWORD, true);
    }
}
