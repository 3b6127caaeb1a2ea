/* SPDX-License-Identifier: Apache-2.0 */
#include "decision/decision_record.h"

#include "decision/decision_internal.h"

#define MODEL_BYTES 128 /* of a name that a caller made up, */
#define MODEL_LESS  64  /* and where examples say something, too */
#define AUTO        SPAN("auto-router")
#define PERMILLE    1000
#define DIGITS      20 /* of a number */
#define LEARNED     "ok"

/* ---- writing ---- */

/* On a call's path: no format is read. */
static size_t put_bytes(char out[DECISION_FACTS_BYTES], size_t at, struct span bytes)
{
    size_t len = bytes.len < DECISION_FACTS_BYTES - at ? bytes.len : DECISION_FACTS_BYTES - at;
    memcpy(out + at, bytes.at, len); /* all fit */
    return at + len;
}

static size_t put(char out[DECISION_FACTS_BYTES], size_t at, const char *name, struct span value)
{
    at = at == 0 ? at : put_bytes(out, at, SPAN(" "));
    at = put_bytes(out, at, span_of(name));
    at = put_bytes(out, at, SPAN("="));
    return put_bytes(out, at, value);
}

static size_t put_number(char out[DECISION_FACTS_BYTES], size_t at, const char *name, int64_t value)
{
    char digits[DIGITS];
    size_t first = sizeof(digits);
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return put(out, at, name, span_make(digits + first, sizeof(digits) - first));
}

static int64_t permille_of(double share)
{
    return (int64_t)(share * PERMILLE + 0.5);
}

static size_t put_language(struct decision_work *work, char out[DECISION_FACTS_BYTES])
{
    const struct text_language l = decision_language(work);
    struct span dialect = decision_dialect(work);
    size_t at = put(out, 0, "language", span_of(l.language));
    at = put_number(out, at, "confidence", l.permille);
    at = put(out, at, "script", span_of(l.script));
    return dialect.len > 0 ? put(out, at, "dialect", dialect) : at;
}

/* What examples say of the model that is first, or why they say nothing. */
static size_t put_learned(const struct decision_ask *ask, const struct decision_work *work,
                          char out[DECISION_FACTS_BYTES], size_t at)
{
    if (ask->search == NULL) {
        return ask->unlearned == NULL ? at : put(out, at, "learned", span_of(ask->unlearned));
    }
    at = put(out, at, "learned", SPAN(LEARNED));
    if (work->count > 0 && work->gathered[0].is_predicted) {
        const struct routing_prediction *p = &work->gathered[0].prediction;
        at = put_number(out, at, "quality", permille_of(p->quality));
        at = put_number(out, at, "bound", permille_of(p->bound));
        at = put_number(out, at, "neighbours", (int64_t)p->neighbours);
    }
    return at;
}

size_t decision_facts_write(const struct decision_ask *ask, struct decision_work *work,
                            char out[DECISION_FACTS_BYTES])
{
    size_t at = 0;
    if (ask->gist != NULL) {
        at = put_language(work, out);
        at = put_number(out, at, "tools", ask->gist->has_tools);
        at = put_number(out, at, "images", ask->gist->has_pictures);
        at = put_number(out, at, "turns", ask->gist->turns);
    }
    if ((work->facts.known >> ROUTING_CODE_SHARE & 1) != 0) { /* some rule has asked */
        double share = work->facts.values[ROUTING_CODE_SHARE].real;
        at = put_number(out, at, "code", permille_of(share));
    }
    at = put_number(out, at, "prompt_tokens", decision_tokens(work));
    at = put(out, at, "by", decision_tokens_by(work));
    if (ask->request->output_tokens_max > 0) {
        at = put_number(out, at, "max_tokens", ask->request->output_tokens_max);
    }
    if (ask->request->has_token_arrays) {
        at = put_number(out, at, "arrays", 1);
    }
    if (ask->hints.profile != ROUTING_NO_PROFILE) {
        at = put(out, at, "profile", span_of(routing_profile_name(ask->hints.profile)));
    }
    if (ask->hints.says_local) {
        at = put_number(out, at, "local", 1);
    }
    if (ask->hints.class != DATA_UNSAID) {
        at = put(out, at, "class", span_of(data_class_name(ask->hints.class)));
    }
    at = put_learned(ask, work, out, at);
    if (!decision_is_auto(ask->model)) { /* the last, for it may hold blanks */
        size_t most = ask->search == NULL ? MODEL_BYTES : MODEL_LESS;
        at = put(out, at, "model", span_cut_text(ask->model, most));
    }
    return at;
}

/* ---- reading ---- */

static bool take_number(struct span value, uint64_t most, int64_t *out)
{
    uint64_t number;
    bool is_one = span_to_u64(value, most, &number);
    *out = is_one ? (int64_t)number : 0;
    return is_one;
}

static bool take_flag(struct span value, bool *out)
{
    int64_t number;
    bool is_one = take_number(value, 1, &number);
    *out = number == 1;
    return is_one;
}

static bool take_word(struct span value, char out[DECISION_WORD_BYTES])
{
    span_copy_text(value, out, DECISION_WORD_BYTES);
    return value.len > 0 && value.len < DECISION_WORD_BYTES;
}

static bool take_language(struct span name, struct span value, struct decision_facts *f)
{
    int64_t permille;
    if (span_is(name, "language")) {
        f->recorded.has_language = true;
        return take_word(value, f->language);
    }
    if (span_is(name, "script")) {
        return take_word(value, f->script);
    }
    if (span_is(name, "dialect")) {
        f->recorded.dialect = value;
        return value.len > 0 && value.len < DECISION_WORD_BYTES;
    }
    bool is_one = span_is(name, "confidence") && take_number(value, PERMILLE, &permille);
    f->recorded.language.permille = is_one ? (int)permille : 0;
    return is_one;
}

static bool take_code(struct span value, struct decision_facts *f)
{
    int64_t permille;
    f->recorded.has_code = take_number(value, PERMILLE, &permille);
    f->recorded.code_permille = (int)permille;
    return f->recorded.has_code;
}

/* What examples said is told, and decides nothing again. */
static bool take_learned(struct span name, struct span value, struct decision_facts *f,
                         bool *is_good)
{
    static const char *const names[] = {"quality", "bound", "neighbours"};
    int64_t number;
    if (span_is(name, "learned")) {
        f->recorded.was_learned = span_is(value, LEARNED);
        *is_good = value.len > 0;
        return true;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (span_is(name, names[i])) {
            *is_good = take_number(value, PERMILLE, &number);
            return true;
        }
    }
    return false;
}

static bool take(struct span name, struct span value, struct decision_facts *f)
{
    bool is_good;
    if (take_learned(name, value, f, &is_good)) {
        return is_good;
    }
    if (span_is(name, "tools")) {
        return take_flag(value, &f->gist.has_tools);
    }
    if (span_is(name, "images")) {
        return take_flag(value, &f->gist.has_pictures);
    }
    if (span_is(name, "turns")) {
        f->recorded.has_gist = true;
        return take_number(value, INT64_MAX, &f->gist.turns);
    }
    if (span_is(name, "code")) {
        return take_code(value, f);
    }
    if (span_is(name, "prompt_tokens")) {
        return take_number(value, INT64_MAX, &f->prompt_tokens);
    }
    if (span_is(name, "by")) {
        f->recorded.tokens_by = value;
        return value.len > 0;
    }
    if (span_is(name, "max_tokens")) {
        return take_number(value, INT64_MAX, &f->request.output_tokens_max);
    }
    if (span_is(name, "arrays")) {
        return take_flag(value, &f->request.has_token_arrays);
    }
    if (span_is(name, "local")) {
        f->hints.says_local = true;
        return take_flag(value, &f->hints.is_local);
    }
    if (span_is(name, "class")) {
        return data_class_find(value, &f->hints.class);
    }
    return span_is(name, "profile") ? routing_profile_find(value, &f->hints.profile)
                                    : take_language(name, value, f);
}

bool decision_facts_read(struct span text, struct decision_facts *out)
{
    *out = (struct decision_facts){.model = AUTO, .language = "und", .script = "Zyyy"};
    out->request.output_tokens_max = -1;
    while (text.len > 0) {
        size_t equal = span_find(text, '=', 0), end = span_find(text, ' ', 0);
        struct span name = span_cut(text, 0, equal);
        if (span_is(name, "model")) {
            out->model = span_cut(text, equal + 1, text.len);
            break;
        }
        if (equal >= end || !take(name, span_cut(text, equal + 1, end - equal - 1), out)) {
            return false;
        }
        text = span_cut(text, end + 1, text.len);
    }
    out->request.input_tokens = out->request.has_token_arrays ? out->prompt_tokens : -1;
    out->recorded.language.language = out->language;
    out->recorded.language.script = out->script;
    return true;
}
