/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets behind a word that says so:
 *
 *     db_password = "…"     "api_key": "…"     Authorization: Bearer …     كلمة المرور: …
 *
 * A word, a quote that closes it, blanks, a sign that assigns, blanks, a quote that opens, the
 * value. The value alone is found, if it is not a word of a language, an example, or a piece of
 * code.
 */
#include "guard/guard_secrets_internal.h"

#define BLANKS_MAX   4
#define ASCII_END    0x80
#define PASSWORD_MIN 4
#define WORD_MIN     6 /* letters of a quoted password that is a word */
#define TOKEN_MIN    16
#define SHORT_MIN    8
#define TOKEN_BITS   300 /* hundredths of a bit in a character */
#define SHORT_BITS   250
#define BEARER_ALONE 32

enum word_kind { PASSWORD, TOKEN, BEARER, BASIC };

static const struct word {
    struct span text;
    enum word_kind kind;
} words[] = {
#define SECRET_WORD(text, kind) {{(const uint8_t *)(text), sizeof(text) - 1}, kind},
#include "guard/guard_secret_words.def"
#undef SECRET_WORD
};

#define WORDS (sizeof(words) / sizeof(words[0]))

void guard_secret_words_add(struct guard_triggers *t, unsigned first)
{
    for (size_t i = 0; i < WORDS; i++) {
        guard_triggers_add(t, words[i].text, first + (unsigned)i);
    }
}

/* ---- the word ---- */

static bool is_letter(uint8_t c)
{
    return (guard_secret_kinds[c] & (LOWER | UPPER)) != 0;
}

static uint8_t lower_of(uint8_t c)
{
    return (guard_secret_kinds[c] & UPPER) != 0 ? (uint8_t)(c | 0x20) : c;
}

static bool is_joint(uint8_t c)
{
    return c == '_' || c == '-' || c == '.' || c == ' ';
}

/* Whether the word ends at `end`; where it begins. */
static bool stands(struct span text, size_t end, struct span word, size_t *start)
{
    size_t at = end;
    for (size_t i = word.len; i > 0; i--) {
        uint8_t c = word.at[i - 1];
        if (c == '~') {
            at -= at > 0 && is_joint(text.at[at - 1]);
            continue;
        }
        if (at == 0 || lower_of(text.at[at - 1]) != c) {
            return false;
        }
        at--;
    }
    *start = at;
    /* It may be the end of a name, whose parts are told apart by signs or by case. */
    return at == 0 || !is_letter(text.at[at - 1]) || text.at[at] != lower_of(text.at[at]) ||
           word.at[0] >= ASCII_END;
}

/* ---- what stands between ---- */

static size_t skip_blanks(struct span text, size_t at)
{
    size_t most = at + BLANKS_MAX < text.len ? at + BLANKS_MAX : text.len;
    while (at < most && (text.at[at] == ' ' || text.at[at] == '\t')) {
        at++;
    }
    return at;
}

/* Behind a quote, as it is or escaped. */
static size_t skip_quote(struct span text, size_t at)
{
    size_t sign = at + (at < text.len && text.at[at] == '\\');
    bool is =
        sign < text.len && (text.at[sign] == '"' || text.at[sign] == '\'' || text.at[sign] == '`');
    return is ? sign + 1 : at;
}

static bool starts_at(struct span text, size_t at, struct span with)
{
    return span_starts(span_cut(text, at, text.len), with);
}

/* Behind what assigns; 0: nothing does. */
static size_t skip_sign(struct span text, size_t at)
{
    static const struct span signs[] = {
        {(const uint8_t *)":=", 2},   {(const uint8_t *)"=>", 2},  {(const uint8_t *)"->", 2},
        {(const uint8_t *)":", 1},    {(const uint8_t *)"=", 1},   {(const uint8_t *)">", 1},
        {(const uint8_t *)"is: ", 4}, {(const uint8_t *)"is ", 3}, {(const uint8_t *)"was ", 4},
        {(const uint8_t *)"هي ", 5},  {(const uint8_t *)"هو ", 5}, {(const uint8_t *)"هي: ", 6},
        {(const uint8_t *)"هو: ", 6},
    };
    if (starts_at(text, at, SPAN("=="))) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (starts_at(text, at, signs[i])) {
            return at + signs[i].len;
        }
    }
    return 0;
}

/* ---- the value ---- */

struct value {
    enum word_kind kind;
    struct span text;
    bool is_quoted;
    bool is_query;    /* of a URL */
    bool is_assigned; /* by a sign, not by a word or a blank */
};

/* Where a value ends that no quote does. */
static bool ends_value(uint8_t c, const struct value *v)
{
    if (c <= ' ' || c >= ASCII_END) {
        return c <= ' ' || v->kind != PASSWORD;
    }
    return (c == '&' && v->is_query) || strchr("\"'`<>,;\\{}|", c) != NULL;
}

/* Whether the word is a member of a URL's query. */
static bool is_in_query(struct span text, size_t from, size_t start)
{
    while (start > from && text.at[start - 1] > ' ' && text.at[start - 1] != '?') {
        start--;
    }
    return start > from && text.at[start - 1] == '?';
}

static bool is_arabic_sign(struct span text, size_t at)
{
    return starts_at(text, at, SPAN("،")) || starts_at(text, at, SPAN("؛")) ||
           starts_at(text, at, SPAN("؟"));
}

static size_t end_of_value(struct span text, size_t at, const struct value *v)
{
    while (at < text.len && !ends_value(text.at[at], v) && !is_arabic_sign(text, at)) {
        at++;
    }
    return at;
}

static size_t trim_end(struct span text, size_t start, size_t end)
{
    while (end > start && strchr(".,:?)]", text.at[end - 1]) != NULL) {
        end--;
    }
    return end;
}

/* Where a quoted value ends; 0: the quote is not closed in sight. */
static size_t end_of_quoted(struct span text, size_t at)
{
    uint8_t quote = text.at[at - 1];
    for (; at < text.len && text.at[at] != '\n'; at++) {
        if (text.at[at] == quote) {
            return at - (text.at[at - 1] == '\\');
        }
    }
    return 0;
}

/* Digits with the signs of dates, times and versions. */
static bool is_number(const struct guard_secret_shape *s)
{
    return s->lower + s->upper + s->beyond == 0 && s->signs > 0;
}

static unsigned judge_password(const struct value *v, const struct guard_secret_shape *s)
{
    size_t letters = s->lower + s->upper;
    if (v->text.len < PASSWORD_MIN || is_number(s) || v->text.at[0] == '/') {
        return 0;
    }
    if (letters == 0 && s->beyond == 0) {
        return v->is_assigned ? 75 : 60;
    }
    if (s->digits > 0) {
        return v->text.len >= WORD_MIN ? 85 : 70;
    }
    bool has_sign = false;
    for (size_t i = 0; i < v->text.len; i++) {
        has_sign = has_sign || strchr("@#$%^&*!+=~", v->text.at[i]) != NULL;
    }
    if ((has_sign && v->text.len >= WORD_MIN) || (s->upper > 1 && s->lower > 1)) {
        return 75;
    }
    return v->is_quoted && v->is_assigned && v->text.len >= WORD_MIN ? 60 : 0;
}

/* Names with dots between them, as code has. */
static bool is_path_of_names(const struct value *v, const struct guard_secret_shape *s)
{
    return !v->is_quoted && memchr(v->text.at, '.', v->text.len) != NULL && s->digits < 3;
}

static unsigned judge_token(const struct value *v, const struct guard_secret_shape *s)
{
    size_t letters = s->lower + s->upper;
    bool is_mixed = (s->digits > 0 && letters > 0) || (s->lower > 3 && s->upper > 3);
    if (s->beyond > 0 || !is_mixed || is_path_of_names(v, s)) {
        return 0;
    }
    if (v->text.len >= TOKEN_MIN && s->bits >= TOKEN_BITS) {
        return 85;
    }
    return v->text.len >= SHORT_MIN && s->bits >= SHORT_BITS && v->is_assigned && s->digits > 1 ? 60
                                                                                                : 0;
}

static unsigned judge(const struct value *v)
{
    struct guard_secret_shape s;
    if (guard_secret_is_sample(v->text)) {
        return 0;
    }
    guard_secret_measure(v->text, &s);
    switch (v->kind) {
    case PASSWORD:
        return judge_password(v, &s);
    case TOKEN:
        return judge_token(v, &s);
    case BEARER:
        return v->text.len >= TOKEN_MIN && (s.digits > 0 || v->text.len >= BEARER_ALONE) ? 85 : 0;
    case BASIC:
        return v->text.len >= SHORT_MIN ? 85 : 0;
    }
    NEVER("every kind is judged");
}

/* ---- the whole ---- */

/* Where the value begins that belongs to a word which ends at `end`; 0: there is none. */
static size_t value_behind(struct span text, size_t start, size_t end, struct value *v)
{
    size_t at = skip_quote(text, end), behind = skip_blanks(text, at);
    if (v->kind == BEARER || v->kind == BASIC) {
        behind = behind > end ? behind : 0;
    } else {
        size_t sign = skip_sign(text, behind);
        bool is_option = start > 1 && text.at[start - 1] == '-' && text.at[start - 2] == '-';
        v->is_assigned = sign == behind + 1 || sign == behind + 2;
        behind = sign != 0 ? skip_blanks(text, sign) : is_option && behind > end ? behind : 0;
    }
    if (behind == 0) {
        return 0;
    }
    at = skip_quote(text, behind);
    v->is_quoted = at > behind;
    return at;
}

void guard_secret_words_look(const struct guard_window *w, unsigned number, size_t end,
                             struct guard_sink *k)
{
    struct value v = {.kind = words[number].kind};
    size_t start;
    if (!stands(w->text, end, words[number].text, &start)) {
        return;
    }
    size_t at = value_behind(w->text, start, end, &v);
    if (at == 0 || at >= w->text.len || at < w->from || start < guard_before(w, at)) {
        return;
    }
    v.is_query = is_in_query(w->text, guard_before(w, at), start);
    struct span text = span_cut(w->text, 0, guard_behind(w, at));
    size_t quoted = v.is_quoted ? end_of_quoted(text, at) : 0;
    size_t behind = quoted != 0 ? quoted : end_of_value(text, at, &v);
    bool is_cut = quoted == 0 && (behind == text.len || v.is_quoted);
    if (is_cut && guard_is_open(w, at)) {
        guard_sink_wait(k, at);
        return;
    }
    bool is_end = text.len == w->text.len && w->is_last && behind - at <= GUARD_VALUE_BYTES;
    bool is_open = quoted == 0 && behind == text.len && !is_end;
    behind = quoted != 0 || is_open ? behind : trim_end(text, at, behind);
    v.text = span_cut(text, at, behind - at);
    unsigned percent = judge(&v);
    if (percent > 0 && is_open) {
        guard_sink_add_open(k, at, behind, GUARD_SECRET, percent, false);
    } else if (percent > 0) {
        guard_sink_add(k, at, behind, GUARD_SECRET, percent, false);
    }
}
