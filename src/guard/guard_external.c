/* SPDX-License-Identifier: Apache-2.0 */
/* How scanners are asked, and what of their answers is believed. */
#include "guard/guard_external.h"

#include <string.h>

#include "base/memory.h"
#include "json/json_write.h"

#define ASK_BYTES_MAX                                                           \
    ((size_t)16 << 20) /* all texts, each byte escaped, and what is around them \
                        */
#define ANSWER_ROWS  ((uint32_t)64 * 1024)
#define ANSWER_DEPTH 16
#define PERCENT_ONE  100
#define MARK_EVERY   256 /* characters */

/* ---- asking ---- */

static void put_texts(const struct guard_gathered *g, struct json_writer *w)
{
    json_write_key(w, "texts");
    json_write_array(w);
    for (size_t i = 0; i < g->count; i++) {
        const struct guard_part *part = &g->parts[i];
        json_write_object(w);
        json_write_member_text(w, "channel",
                               openai_channel_name((enum openai_channel)part->channel));
        json_write_key(w, "text");
        json_write_string(w, span_cut(buf_span(&g->text), part->start, part->end - part->start));
        json_write_end(w);
    }
    json_write_end(w);
}

enum err guard_external_ask(const struct guard_scanner *s, const struct guard_gathered *g,
                            struct span id, struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    if (s->kind == GUARD_EXTERNAL_PRESIDIO) {
        json_write_key(&w, "text");
        json_write_string(&w, buf_span(&g->text));
        json_write_member_text(&w, "language", s->language);
    } else {
        json_write_key(&w, "call");
        json_write_string(&w, id);
        json_write_member_text(&w, "direction", "prompt");
        put_texts(g, &w);
    }
    json_write_end(&w);
    return json_write_finish(&w);
}

/* ---- answers ---- */

/* Where characters stand: each 256th. */
struct marks {
    uint32_t *at;
    size_t count;
    uint64_t characters;
};

struct answer {
    const struct json_index *x;
    const struct guard_policy *policy;
    const struct guard_scanner *scanner;
    const struct guard_gathered *g;
    struct marks marks; /* of Presidio's */
    struct buf *out;
    size_t count;
};

/* The type of a name. */
static unsigned type_of(const struct answer *a, struct span said)
{
    static const struct {
        const char *theirs;
        unsigned type;
    } others[] = {
        {"email_address", GUARD_EMAIL}, {"phone_number", GUARD_PHONE}, {"iban_code", GUARD_IBAN}};
    char small[GUARD_NAME_BYTES];
    if (said.len == 0 || said.len >= sizeof(small)) {
        return a->scanner->type;
    }
    for (size_t i = 0; i < said.len; i++) {
        uint8_t c = said.at[i];
        small[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    const struct span name = span_make(small, said.len);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (span_is(name, others[i].theirs)) {
            return others[i].type;
        }
    }
    unsigned type = guard_type_find(name);
    if (type >= GUARD_BUILTINS && a->policy->rules != NULL) {
        type = guard_rules_find(a->policy->rules, name);
    }
    if (type >= GUARD_TYPES_MAX || (type >= GUARD_BUILTINS && a->policy->rules == NULL)) {
        type = guard_named_find(a->policy, name);
    }
    return type >= GUARD_TYPES_MAX ? a->scanner->type : type;
}

static enum err read_place(const struct answer *a, uint32_t object, const char *name, uint64_t *out)
{
    int64_t number = -1;
    uint32_t row = json_find(a->x, object, span_of(name));
    enum err e = row == JSON_NONE ? ERR_VALUE_INVALID : json_int64(a->x, row, &number);
    *out = (uint64_t)number;
    return e == ERR_OK && number >= 0 ? ERR_OK : ERR_VALUE_INVALID;
}

/* In percent; what has none is sure, unless it needs one. */
static enum err read_score(const struct answer *a, uint32_t object, uint8_t *out)
{
    double score = 1;
    uint32_t row = json_find(a->x, object, SPAN("score"));
    enum err e = ERR_OK;
    if (row != JSON_NONE) {
        e = json_double(a->x, row, &score);
    } else if (a->scanner->kind == GUARD_EXTERNAL_PRESIDIO) {
        e = ERR_VALUE_INVALID;
    }
    if (e == ERR_OK && (score < 0 || score > 1)) {
        e = ERR_VALUE_INVALID;
    }
    if (e == ERR_OK) {
        *out = (uint8_t)(score * PERCENT_ONE + 1e-6);
    }
    return e;
}

/* Whether a character begins there, or the text ends. */
static bool is_between(struct span text, uint64_t at)
{
    return at == text.len || (at < text.len && (text.at[at] & 0xC0) != 0x80);
}

/* Notes a finding by its bytes. */
static enum err take(struct answer *a, const struct guard_finding *f)
{
    const struct span text = buf_span(&a->g->text);
    if (f->start >= f->end || f->end > text.len || !is_between(text, f->start) ||
        !is_between(text, f->end) || ++a->count > GUARD_EXTERNAL_FINDINGS) {
        return ERR_VALUE_INVALID;
    }
    if (f->percent >= a->scanner->percent) {
        buf_put(a->out, span_make(f, sizeof(*f)));
    }
    return buf_failed(a->out) ? buf_error(a->out) : ERR_OK;
}

/* What both kinds say alike. */
static enum err read_common(const struct answer *a, uint32_t object, const char *type_name,
                            struct guard_finding *f)
{
    uint32_t type = json_find(a->x, object, span_of(type_name));
    if (type == JSON_NONE || json_kind(a->x, type) != JSON_STRING) {
        return ERR_VALUE_INVALID;
    }
    f->type = (uint16_t)type_of(a, json_inside(a->x, type));
    f->is_validated = false;
    enum err e = read_score(a, object, &f->percent);
    e = e == ERR_OK ? read_place(a, object, "start", &f->start) : e;
    return e == ERR_OK ? read_place(a, object, "end", &f->end) : e;
}

/* ---- Atlas's own contract: bytes of one of the texts ---- */

static enum err read_own(struct answer *a, uint32_t object)
{
    struct guard_finding f = {.start = 0};
    uint64_t which = 0;
    enum err e = read_common(a, object, "type", &f);
    e = e == ERR_OK ? read_place(a, object, "text", &which) : e;
    if (e != ERR_OK || which >= a->g->count) {
        return ERR_VALUE_INVALID;
    }
    const struct guard_part *part = &a->g->parts[which];
    if (f.start >= f.end || f.end > part->end - part->start) {
        return ERR_VALUE_INVALID;
    }
    f.start += part->start;
    f.end += part->start;
    return take(a, &f);
}

/* ---- Presidio's: characters of all texts together ---- */

static enum err make_marks(struct answer *a)
{
    const struct span text = buf_span(&a->g->text);
    a->marks.at = memory_raw((text.len / MARK_EVERY + 1) * sizeof(*a->marks.at));
    if (a->marks.at == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < text.len; i++) {
        if ((text.at[i] & 0xC0) == 0x80) {
            continue;
        }
        if (a->marks.characters % MARK_EVERY == 0) {
            a->marks.at[a->marks.count++] = (uint32_t)i;
        }
        a->marks.characters++;
    }
    return ERR_OK;
}

/* The byte at which a character begins; one behind the last is the text's end. */
static enum err place_of(const struct answer *a, uint64_t *character)
{
    const struct span text = buf_span(&a->g->text);
    uint64_t left = *character % MARK_EVERY;
    if (*character >= a->marks.characters) {
        bool is_end = *character == a->marks.characters;
        *character = text.len;
        return is_end ? ERR_OK : ERR_VALUE_INVALID;
    }
    size_t at = a->marks.at[*character / MARK_EVERY];
    while (left > 0) {
        at++;
        left -= (text.at[at] & 0xC0) != 0x80;
    }
    *character = at;
    return ERR_OK;
}

static enum err read_presidio(struct answer *a, uint32_t object)
{
    struct guard_finding f = {.start = 0};
    enum err e = read_common(a, object, "entity_type", &f);
    e = e == ERR_OK ? place_of(a, &f.start) : e;
    e = e == ERR_OK ? place_of(a, &f.end) : e;
    return e == ERR_OK ? take(a, &f) : e;
}

/* ---- all of it ---- */

static enum err read_all(struct answer *a)
{
    bool is_presidio = a->scanner->kind == GUARD_EXTERNAL_PRESIDIO;
    uint32_t list = is_presidio ? 0 : json_find(a->x, 0, SPAN("findings"));
    if (list == JSON_NONE || json_kind(a->x, list) != JSON_ARRAY) {
        return ERR_VALUE_INVALID;
    }
    enum err e = is_presidio ? make_marks(a) : ERR_OK;
    for (uint32_t row = json_first(a->x, list); e == ERR_OK && row != JSON_NONE;
         row = json_next(a->x, row)) {
        if (json_kind(a->x, row) != JSON_OBJECT) {
            return ERR_VALUE_INVALID;
        }
        e = is_presidio ? read_presidio(a, row) : read_own(a, row);
    }
    return e;
}

enum err guard_external_read(const struct guard_policy *p, const struct guard_scanner *s,
                             const struct guard_gathered *g, struct span answer, struct buf *out)
{
    struct json_index x;
    json_index_init_counted(&x, ANSWER_ROWS, ANSWER_DEPTH, 0);
    struct answer a = {.x = &x, .policy = p, .scanner = s, .g = g, .out = out};
    enum err e = json_index_parse_borrow(&x, answer);
    e = e == ERR_OK ? read_all(&a) : err_is_memory(e) ? e : ERR_VALUE_INVALID;
    memory_free(a.marks.at);
    json_index_fini(&x);
    return e;
}
