/* SPDX-License-Identifier: Apache-2.0 */
/* Placeholders, by value and by name. A value's key is its type and what is alike in all that mean
 * the same; the longest are told apart by their beginning, which no placeholder gives back. */
#include "guard/guard_names.h"

#include <stdio.h>

#include "text/text_fold.h"

void guard_names_init(struct guard_names *n, struct arena *arena)
{
    *n = (struct guard_names){.arena = arena};
    map_init(&n->by_value);
    map_init(&n->by_placeholder);
}

void guard_names_fini(struct guard_names *n)
{
    map_fini(&n->by_value);
    map_fini(&n->by_placeholder);
}

static bool is_letter_or_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

/* Whether signs between the digits of a value say nothing. */
static bool has_idle_signs(unsigned type)
{
    return type != GUARD_EMAIL && type != GUARD_IP_ADDRESS && type != GUARD_URL_CREDENTIALS &&
           type != GUARD_SECRET && type != GUARD_PRIVATE_KEY && type < GUARD_BUILTINS;
}

/* Whether capitals and small letters are the same in it. */
static bool is_without_case(unsigned type)
{
    return type != GUARD_SECRET && type != GUARD_PRIVATE_KEY && type != GUARD_URL_CREDENTIALS &&
           type < GUARD_BUILTINS;
}

size_t guard_value_key(unsigned type, struct span value, uint8_t key[GUARD_KEY_BYTES])
{
    struct text_fold fold;
    struct span as_it_is = span_cut_text(value, GUARD_VALUE_BYTES);
    size_t out = 0;
    text_fold_init(&fold);
    /* Without memory for the folded value two ways of writing it have two names. */
    struct span folded = text_fold(&fold, as_it_is) == ERR_OK ? fold.text : as_it_is;
    size_t len = folded.len < GUARD_VALUE_BYTES ? folded.len : GUARD_VALUE_BYTES;
    key[out++] = (uint8_t)(type & 0xFF);
    key[out++] = (uint8_t)(type >> 8);
    for (size_t i = 0; i < len; i++) {
        uint8_t c = folded.at[i];
        if (has_idle_signs(type) && !is_letter_or_digit(c) && c != '+') {
            continue;
        }
        bool is_capital = is_without_case(type) && c >= 'A' && c <= 'Z';
        key[out++] = is_capital ? (uint8_t)(c - 'A' + 'a') : c;
    }
    text_fold_fini(&fold);
    return out;
}

static enum err add(struct guard_names *n, struct guard_name *name, struct span key,
                    struct span label)
{
    char text[GUARD_PLACEHOLDER_BYTES + 1];
    unsigned number = (unsigned)n->last[name->type] + 1;
    int len = snprintf(text, sizeof(text), "[%.*s_%u]", SPAN_ARGS(label), number);
    CHECK(len > 0 && (size_t)len < sizeof(text));
    struct span kept = arena_copy(n->arena, key);
    name->placeholder = arena_copy(n->arena, span_make(text, (size_t)len));
    if (kept.at == NULL || name->placeholder.at == NULL || name->value.at == NULL) {
        return arena_error(n->arena);
    }
    enum err e = map_put_borrow(&n->by_value, kept, name);
    if (e == ERR_OK) {
        e = map_put_borrow(&n->by_placeholder, name->placeholder, name);
    }
    if (e == ERR_OK) {
        n->last[name->type]++;
        n->count++;
    }
    return e;
}

/* One that has no place in the table. */
static enum err give_none(struct guard_names *n, struct guard_name *name, struct span label)
{
    char text[GUARD_PLACEHOLDER_BYTES + 1];
    int len = snprintf(text, sizeof(text), "[%.*s_0]", SPAN_ARGS(label));
    CHECK(len > 0 && (size_t)len < sizeof(text));
    name->placeholder = arena_copy(n->arena, span_make(text, (size_t)len));
    return name->placeholder.at == NULL ? arena_error(n->arena) : ERR_OK;
}

enum err guard_names_give(struct guard_names *n, unsigned type, struct span label,
                          struct span value, bool is_callers, const struct guard_name **out)
{
    uint8_t room[GUARD_KEY_BYTES];
    struct span key = span_make(room, guard_value_key(type, value, room));
    struct guard_name *name = map_find(&n->by_value, key);
    if (name != NULL) {
        name->is_callers = name->is_callers || is_callers;
        *out = name;
        return ERR_OK;
    }
    name = arena_new(n->arena, sizeof(*name));
    if (name == NULL) {
        return arena_error(n->arena);
    }
    *out = name;
    name->type = (uint16_t)type;
    if (n->count >= GUARD_NAMES_MAX) {
        return give_none(n, name, label);
    }
    name->is_callers = is_callers;
    name->is_whole = value.len <= GUARD_VALUE_BYTES;
    name->value = arena_copy(n->arena, span_cut_text(value, GUARD_VALUE_BYTES));
    return add(n, name, key, label);
}

const struct guard_name *guard_names_find(const struct guard_names *n, struct span placeholder)
{
    return n->count == 0 ? NULL : map_find(&n->by_placeholder, placeholder);
}
