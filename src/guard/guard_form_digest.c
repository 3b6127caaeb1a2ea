/* SPDX-License-Identifier: Apache-2.0 */
/* One number for a policy: records name it with the rest of what was in force. What a form does not
 * say has no line; word lists are not shown, but by a digest of their own. */
#include "base/buf.h"
#include "crypto/hmac.h"
#include "guard/guard_form_internal.h"

#define FORM_BYTES_MAX (32u << 20)

static void put_number(struct buf *out, const char *name, int64_t number)
{
    buf_printf(out, "%s %lld\n", name, (long long)number);
}

static void put_text(struct buf *out, const char *name, struct span text)
{
    buf_printf(out, "%s %zu ", name, text.len);
    buf_put(out, text);
    buf_put_byte(out, '\n');
}

static void put_pairs(struct buf *out, const char *name, const struct pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        put_text(out, name, span_of(pairs->at[i].name));
        put_text(out, "=", span_of(pairs->at[i].value));
    }
}

static void put_rules(struct buf *out, const char *name, const struct guard_rule_form *rules,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct guard_rule_form *rule = &rules[i];
        put_text(out, name, span_of(rule->name));
        put_number(out, "action", rule->action);
        put_text(out, "regex", span_of(rule->regex));
        for (size_t w = 0; w < rule->words.count; w++) {
            put_text(out, "word", span_of(rule->words.at[w]));
        }
        if (rule->file != NULL) {
            uint8_t digest[CRYPTO_SHA256_BYTES];
            crypto_sha256(rule->text, digest);
            put_text(out, "file", span_make(digest, sizeof(digest)));
        }
    }
}

static void put_external(struct buf *out, const struct guard_form *f)
{
    for (size_t i = 0; i < f->external_count; i++) {
        const struct guard_external_form *e = &f->external[i];
        put_text(out, "external", span_of(e->name));
        put_text(out, "url", span_of(e->url));
        put_text(out, "region", span_of(e->region));
        put_text(out, "zone", span_of(e->zone));
        put_text(out, "ca_file", span_of(e->ca_file));
        put_text(out, "language", span_of(e->language));
        put_number(out, "clearance", e->clearance);
        put_number(out, "kind", e->kind);
        put_number(out, "timeout", e->timeout_ms);
        put_number(out, "on_failure", e->on_failure);
        put_number(out, "min_score", e->score_nano);
        for (size_t t = 0; t < e->types.count; t++) {
            put_text(out, "type", span_of(e->types.at[t]));
        }
    }
}

enum err guard_form_digest(const struct guard_form *f, uint8_t out[GUARD_DIGEST_BYTES])
{
    struct buf text;
    _Static_assert(GUARD_DIGEST_BYTES == CRYPTO_SHA256_BYTES, "it is a SHA-256");
    buf_init(&text, FORM_BYTES_MAX);
    put_number(&text, "mode", f->mode);
    put_pairs(&text, "prompts", &f->actions[GUARD_PROMPT]);
    put_pairs(&text, "replies", &f->actions[GUARD_REPLY]);
    put_number(&text, "restore", f->restores + 2 * f->says_restore);
    put_number(&text, "blocked_reply", f->blocked_reply);
    put_pairs(&text, "min_confidence", &f->min_confidence);
    put_pairs(&text, "classes", &f->classes);
    put_rules(&text, "pattern", f->patterns, f->patterns_count);
    put_rules(&text, "wordlist", f->wordlists, f->wordlists_count);
    put_rules(&text, "dictionary", f->dictionary, f->dictionary_count);
    put_external(&text, f);
    put_number(&text, "injection", f->injection_action);
    put_number(&text, "threshold", f->threshold_nano);
    enum err e = buf_failed(&text) ? ERR_NO_MEMORY : ERR_OK;
    if (e == ERR_OK) {
        crypto_sha256(buf_span(&text), out);
    }
    buf_fini(&text);
    return e;
}
