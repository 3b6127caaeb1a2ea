/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of rules: names are checked here, what they look for is compiled by guard_patterns.c and
 * guard_words.c.
 */
#include "guard/guard_rules_internal.h"

#include <stdio.h>

#include "base/memory.h"

static enum err refuse(char fault[GUARD_RULES_FAULT], const char *sentence)
{
    (void)snprintf(fault, GUARD_RULES_FAULT, "%s", sentence); /* cut where it does not fit */
    return ERR_CONFIG;
}

static bool is_name(struct span name)
{
    bool is = name.len > 0 && name.len < GUARD_NAME_BYTES && name.at[0] >= 'a' && name.at[0] <= 'z';
    for (size_t i = 0; is && i < name.len; i++) {
        uint8_t c = name.at[i];
        is = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    }
    return is;
}

static enum err add_name(struct guard_rules *r, const struct guard_rule_source *s,
                         char fault[GUARD_RULES_FAULT])
{
    if (!is_name(s->name)) {
        return refuse(fault, "a name has 1 to 31 of a-z, 0-9 and _, and begins with a letter");
    }
    if (guard_type_find(s->name) != GUARD_BUILTINS) {
        return refuse(fault, "the name is that of a built-in type");
    }
    if (span_is(s->name, "default")) {
        return refuse(fault, "`default` cannot be the name of a rule");
    }
    if (guard_rules_find(r, s->name) != GUARD_TYPES_MAX) {
        return refuse(fault, "another rule has this name");
    }
    struct guard_rules_row *row = &r->rows[r->count++];
    span_copy_text(s->name, row->name, sizeof(row->name));
    row->kind = s->kind;
    return ERR_OK;
}

static enum err add_pattern(struct guard_rules *r, const struct guard_rule_source *s, unsigned type,
                            char fault[GUARD_RULES_FAULT])
{
    enum err e = r->patterns == NULL ? guard_patterns_new(&r->patterns) : ERR_OK;
    return e == ERR_OK ? guard_patterns_add(r->patterns, s->text, type, fault) : e;
}

static enum err add_words(struct guard_rules *r, const struct guard_rule_source *s, unsigned type,
                          char fault[GUARD_RULES_FAULT])
{
    enum err e = r->words == NULL ? guard_words_new(&r->words) : ERR_OK;
    return e == ERR_OK
               ? guard_words_add(r->words, s->text, type, s->kind == GUARD_RULE_DICTIONARY, fault)
               : e;
}

static enum err add(struct guard_rules *r, const struct guard_rule_source *s,
                    char fault[GUARD_RULES_FAULT])
{
    unsigned type = r->first + (unsigned)r->count;
    enum err e = add_name(r, s, fault);
    if (e != ERR_OK) {
        return e;
    }
    return s->kind == GUARD_RULE_PATTERN ? add_pattern(r, s, type, fault)
                                         : add_words(r, s, type, fault);
}

static enum err seal(struct guard_rules *r, char fault[GUARD_RULES_FAULT])
{
    enum err e = r->words == NULL ? ERR_OK : guard_words_seal(r->words);
    return e != ERR_OK || r->patterns == NULL ? e : guard_patterns_seal(r->patterns, fault);
}

enum err guard_rules_new(const struct guard_rule_source *sources, size_t count, unsigned first,
                         char fault[GUARD_RULES_FAULT], size_t *which, struct guard_rules **out)
{
    *which = 0;
    fault[0] = '\0';
    *out = NULL;
    if (count > GUARD_RULES_MAX) {
        *which = GUARD_RULES_MAX;
        return refuse(fault, "there are more than 100 rules");
    }
    struct guard_rules *r = memory_new(sizeof(*r));
    if (r == NULL) {
        return ERR_NO_MEMORY;
    }
    r->refs = 1;
    r->first = first;
    enum err e = ERR_OK;
    for (size_t i = 0; i < count && e == ERR_OK; i++) {
        *which = i;
        e = add(r, &sources[i], fault);
    }
    e = e == ERR_OK ? seal(r, fault) : e;
    if (e != ERR_OK) {
        guard_rules_unref(&r);
    }
    *out = r;
    return e;
}

struct guard_rules *guard_rules_ref(struct guard_rules *r)
{
    if (r != NULL) {
        CHECK(atomic_fetch_add(&r->refs, 1) > 0);
    }
    return r;
}

void guard_rules_unref(struct guard_rules **rules)
{
    struct guard_rules *r = *rules;
    *rules = NULL;
    if (r == NULL) {
        return;
    }
    int before = atomic_fetch_sub(&r->refs, 1);
    CHECK(before > 0);
    if (before == 1) {
        guard_patterns_free(&r->patterns);
        guard_words_free(&r->words);
        memory_free(r);
    }
}

unsigned guard_rules_find(const struct guard_rules *r, struct span name)
{
    for (size_t i = 0; r != NULL && i < r->count; i++) {
        if (span_is(name, r->rows[i].name)) {
            return r->first + (unsigned)i;
        }
    }
    return GUARD_TYPES_MAX;
}

static const struct guard_rules_row *row_of(const struct guard_rules *r, unsigned type)
{
    CHECK(type >= r->first && type - r->first < r->count);
    return &r->rows[type - r->first];
}

struct span guard_rules_name(const struct guard_rules *r, unsigned type)
{
    return span_of(row_of(r, type)->name);
}

enum guard_rule_kind guard_rules_kind(const struct guard_rules *r, unsigned type)
{
    return row_of(r, type)->kind;
}

unsigned guard_rules_first(const struct guard_rules *r)
{
    return r->first;
}

size_t guard_rules_count(const struct guard_rules *r)
{
    return r->count;
}
