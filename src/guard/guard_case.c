/* SPDX-License-Identifier: Apache-2.0 */
/* What was found in a call, and what becomes of each value. */
#include "guard/guard_case.h"

#include <stdio.h>
#include <string.h>

#include "json/json_write.h"

#define MASK_LEAST 8 /* letters and digits of a value of which some may be seen, */
#define MASK_KEPT  4 /* and how many are */

static const char hex[] = "0123456789abcdef";

void guard_case_init(struct guard_case *c, const struct guard_rule_of *of, struct arena *arena)
{
    memset(c, 0, sizeof(*c));
    c->of = *of;
    c->acts = guard_mode_of(of) == GUARD_ENFORCE;
    guard_names_init(&c->names, arena);
}

void guard_case_fini(struct guard_case *c)
{
    guard_names_fini(&c->names);
}

bool guard_case_wants(const struct guard_case *c, enum guard_direction direction,
                      struct guard_wanted *out)
{
    guard_wanted_of(&c->of, direction, c->wants_all && direction == GUARD_PROMPT, out);
    bool has_rules = out->rules[0] != NULL || out->rules[1] != NULL;
    has_rules = has_rules || (direction == GUARD_PROMPT && guard_scanners_of(&c->of, NULL) > 0);
    bool comes_back =
        c->names.last[GUARD_TYPES_MAX] > 0 || (c->names.count > 0 && guard_restores(&c->of));
    out->placeholders =
        c->acts && (direction == GUARD_PROMPT ? out->types != 0 || has_rules : comes_back);
    return out->types != 0 || has_rules || out->placeholders;
}

bool guard_case_may_change(const struct guard_case *c, enum guard_direction direction)
{
    return c->acts && (c->names.count > 0 || guard_may_change(&c->of, direction));
}

/* ---- judging ---- */

static void note(struct guard_case *c, enum guard_direction direction, enum guard_action action,
                 const struct guard_finding *f)
{
    for (unsigned i = 0; i < c->found_count; i++) {
        struct guard_found *at = &c->found[i];
        if (at->type == f->type && at->action == action && at->direction == direction) {
            at->count += at->count < UINT32_MAX;
            return;
        }
    }
    if (c->found_count == GUARD_FOUND_MAX) {
        c->found_more += c->found_more < UINT32_MAX;
        return;
    }
    c->found[c->found_count++] = (struct guard_found){.type = f->type,
                                                      .action = (uint8_t)action,
                                                      .direction = (uint8_t)direction,
                                                      .count = 1,
                                                      .at = f->start};
}

static enum guard_action settle(struct guard_case *c, enum guard_direction direction,
                                enum guard_action action, const struct guard_finding *f)
{
    if (direction == GUARD_PROMPT) {
        bool is_sure = f->type < GUARD_BUILTINS && f->percent >= GUARD_PERCENT_MIN;
        c->seen |= is_sure ? UINT32_C(1) << f->type : 0;
        enum data_class class = guard_class_of(&c->of, f);
        if (c->acts && class > c->data_class) {
            c->data_class = (uint8_t) class;
        }
    }
    if (action == GUARD_ALLOW) {
        return action;
    }
    note(c, direction, action, f);
    if (!c->acts) {
        return GUARD_ALLOW;
    }
    c->is_blocked[direction] = c->is_blocked[direction] || action == GUARD_BLOCK;
    c->is_local_only = c->is_local_only || action == GUARD_LOCAL_ONLY;
    return action;
}

enum guard_action guard_case_judge(struct guard_case *c, enum guard_direction direction,
                                   const struct guard_finding *f)
{
    enum guard_action action = guard_action_of(&c->of, direction, f);
    /* What was said cannot be kept at home any more. */
    if (direction == GUARD_REPLY && action == GUARD_LOCAL_ONLY) {
        action = GUARD_FLAG;
    }
    /* A phrase that another stands for says as much. */
    if (f->type == GUARD_INJECTION && guard_changes(action)) {
        action = GUARD_BLOCK;
    }
    return settle(c, direction, action, f);
}

enum guard_action guard_case_judge_firm(struct guard_case *c, enum guard_direction direction,
                                        const struct guard_finding *f)
{
    enum guard_action action = guard_action_of(&c->of, direction, f);
    return settle(c, direction, guard_changes(action) ? GUARD_BLOCK : action, f);
}

/* ---- what values become ---- */

static bool is_shown(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0xC0;
}

/* Letters and digits become stars but for the last few; signs between them stay, if they may stand
 * in a JSON string. */
static struct span mask(struct span value, struct arena *arena)
{
    size_t count = 0, seen = 0, len = 0;
    for (size_t i = 0; i < value.len; i++) {
        count += is_shown(value.at[i]);
    }
    size_t kept = count < MASK_LEAST ? 0 : MASK_KEPT;
    uint8_t *out = arena_alloc(arena, value.len + 1);
    if (out == NULL) {
        return (struct span){NULL, 0};
    }
    bool is_kept = false;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.at[i];
        if (is_shown(c)) {
            is_kept = ++seen > count - kept;
            out[len++] = is_kept ? c : '*';
        } else if (c >= 0x80) { /* the rest of a character */
            out[len] = c;
            len += is_kept;
        } else {
            out[len++] = c < 0x20 || c == '"' || c == '\\' || c == 0x7F ? '*' : c;
        }
    }
    return span_make(out, len);
}

static struct span hash(const struct guard_case *c, const struct guard_finding *f,
                        struct span value, struct arena *arena)
{
    uint8_t key[GUARD_KEY_BYTES], mac[CRYPTO_SHA256_BYTES];
    char out[GUARD_HASH_BYTES];
    if (value.len > GUARD_VALUE_BYTES) {
        crypto_hmac(c->key, value, mac);
    } else {
        crypto_hmac(c->key, span_make(key, guard_value_key(f->type, value, key)), mac);
    }
    for (size_t i = 0; i < GUARD_HASH_BYTES; i++) {
        out[i] = hex[i % 2 == 0 ? mac[i / 2] >> 4 : mac[i / 2] & 0xF];
    }
    return arena_copy(arena, span_make(out, sizeof(out)));
}

enum err guard_case_replace(struct guard_case *c, enum guard_action action,
                            const struct guard_value *value, struct arena *arena, struct span *out)
{
    char room[GUARD_NAME_BYTES];
    const struct guard_name *name;
    unsigned type = value->f->type;
    if (action == GUARD_MASK) {
        *out = mask(value->text, arena);
        return out->at == NULL ? arena_error(arena) : ERR_OK;
    }
    if (action == GUARD_HASH && c->key != NULL) {
        *out = hash(c, value->f, value->text, arena);
        return out->at == NULL ? arena_error(arena) : ERR_OK;
    }
    enum err e = guard_names_give(&c->names, type, guard_placeholder_of(&c->of, type, room),
                                  value->text, value->is_callers, &name);
    if (e == ERR_OK) {
        *out = name->placeholder;
    }
    return e;
}

/* A value of the caller's on its way back to him. */
static enum err restore(struct guard_case *c, const struct guard_name *name, struct arena *arena,
                        struct span *out)
{
    const struct guard_finding f = {
        .end = name->value.len, .type = name->type, .percent = 100, .is_validated = true};
    enum guard_action action = guard_action_of(&c->of, GUARD_REPLY, &f);
    if (!guard_restores(&c->of) || !name->is_callers || !name->is_whole || action >= GUARD_REDACT) {
        return ERR_OK;
    }
    if (guard_changes(action)) {
        const struct guard_value value = {.f = &f, .text = name->value, .is_callers = true};
        return guard_case_replace(c, action, &value, arena, out);
    }
    *out = name->value;
    return ERR_OK;
}

enum err guard_case_exchange(struct guard_case *c, enum guard_direction direction,
                             struct span placeholder, struct arena *arena, struct span *out)
{
    const struct guard_name *name;
    *out = (struct span){NULL, 0};
    if (!c->acts) {
        return ERR_OK;
    }
    if (direction == GUARD_PROMPT) {
        enum err e =
            guard_names_give(&c->names, GUARD_TYPES_MAX, SPAN("LITERAL"), placeholder, true, &name);
        *out = e == ERR_OK ? name->placeholder : *out;
        return e;
    }
    name = guard_names_find(&c->names, placeholder);
    if (name == NULL) {
        return ERR_OK;
    }
    if (name->type == GUARD_TYPES_MAX) {
        *out = name->value;
        return ERR_OK;
    }
    return restore(c, name, arena, out);
}

/* ---- what is told ---- */

/* Of what was blocked in that direction, the gravest kind. */
static enum guard_violation violation_of(const struct guard_case *c, enum guard_direction direction)
{
    enum guard_violation gravest = GUARD_VIOLATION_WORD;
    for (unsigned i = 0; i < c->found_count; i++) {
        const struct guard_found *f = &c->found[i];
        if (f->direction == direction && f->action == GUARD_BLOCK) {
            enum guard_violation v = guard_violation_of(&c->of, f->type);
            gravest = v < gravest ? v : gravest;
        }
    }
    return gravest;
}

void guard_case_write_details(const struct guard_case *c, enum guard_direction direction,
                              struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_key(&w, "violation_type");
    json_write_string(&w, guard_violation_name(violation_of(c, direction)));
    json_write_key(&w, "entities");
    json_write_array(&w);
    for (unsigned i = 0; i < c->found_count; i++) {
        const struct guard_found *f = &c->found[i];
        if (f->direction == direction && f->action == GUARD_BLOCK) {
            json_write_string(&w, guard_name_of(&c->of, f->type));
        }
    }
    json_write_end(&w);
    json_write_key(&w, "action_taken");
    json_write_text(&w, direction == GUARD_PROMPT ? "request_blocked" : "reply_blocked");
    json_write_end(&w);
}

size_t guard_case_write_found(const struct guard_case *c, char *out, size_t most)
{
    size_t len = 0;
    for (unsigned i = 0; i < c->found_count; i++) {
        const struct guard_found *f = &c->found[i];
        int more = snprintf(out + len, most - len, "%s%.*s:%s:%.*s:%u@%llu", len > 0 ? " " : "",
                            SPAN_ARGS(guard_name_of(&c->of, f->type)),
                            f->direction == GUARD_PROMPT ? "prompt" : "reply",
                            SPAN_ARGS(guard_action_name((enum guard_action)f->action)), f->count,
                            (unsigned long long)f->at);
        if (more < 0 || (size_t)more >= most - len) {
            break;
        }
        len += (size_t)more;
    }
    return len;
}
