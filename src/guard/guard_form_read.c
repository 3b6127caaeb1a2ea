/* SPDX-License-Identifier: Apache-2.0 */
/* A team's form, from JSON. Only shapes are looked at here; what the texts mean is the
 * compiler's. */
#include <stdio.h>
#include <string.h>

#include "guard/guard_form_internal.h"
#include "text/text_near.h"
#include "json/json_value.h"

#define DEPTH_MAX    8
#define ROWS_MAX     (GUARD_FORM_BYTES)
#define NANO         1e9
#define NUMBER_BYTES 32
#define MEMBERS_MAX  16
#define ARENA_BYTES  (8u << 20)

struct reader {
    struct json_index index;
    struct arena *arena;
    struct guard_telling telling;
    struct guard_form *form;
    bool out_of_memory;
};

/* A member that an object may have. `read` gets its value, which is not null. */
struct member {
    const char *name;
    void (*read)(struct reader *r, uint32_t row, const char *member, void *field);
    size_t offset;
};

static void mistyped(struct reader *r, const char *member, const char *what)
{
    guard_say(&r->telling, false, member, "takes %s", what);
}

/* A text as a C string; NULL: it is none, and that was said. */
static const char *read_string(struct reader *r, uint32_t row, const char *member)
{
    struct span text = {NULL, 0};
    enum err e = json_kind(&r->index, row) == JSON_STRING
                     ? json_text(&r->index, row, r->arena, &text)
                     : ERR_VALUE_INVALID;
    struct span copy = e == ERR_OK ? arena_copy(r->arena, text) : (struct span){NULL, 0};
    r->out_of_memory = r->out_of_memory || e == ERR_NO_MEMORY || (e == ERR_OK && copy.at == NULL);
    if (e == ERR_VALUE_INVALID || (copy.at != NULL && strlen((const char *)copy.at) != copy.len)) {
        mistyped(r, member, "a text");
        return NULL;
    }
    return (const char *)copy.at;
}

static void read_text(struct reader *r, uint32_t row, const char *member, void *field)
{
    const char *text = read_string(r, row, member);
    memcpy(field, &text, sizeof(text));
}

/* The place of a text among "a|b|c", an enum's names in its order. */
static bool read_choice(struct reader *r, uint32_t row, const char *member, const char *names,
                        int *out)
{
    char words[MEMBERS_MAX][GUARD_NAME_BYTES];
    const char *pointers[MEMBERS_MAX];
    const char *text = read_string(r, row, member);
    int count = 0;
    if (text == NULL) {
        return false;
    }
    for (struct span rest = span_of(names); rest.len > 0 && count < MEMBERS_MAX; count++) {
        struct span name = span_cut(rest, 0, span_find(rest, '|', 0));
        span_copy_text(name, words[count], sizeof(words[count]));
        pointers[count] = words[count];
        rest = span_cut(rest, name.len + 1, rest.len);
        if (span_is(name, text)) {
            *out = count;
            return true;
        }
    }
    const char *meant = text_nearest(span_of(text), pointers, (size_t)count);
    guard_say(&r->telling, false, member, "takes one of %s, not '%.64s'%s%s%s", names, text,
              meant == NULL ? "" : " — did you mean '", meant == NULL ? "" : meant,
              meant == NULL ? "" : "'?");
    return false;
}

static void read_action(struct reader *r, uint32_t row, const char *member, void *field)
{
    int action = GUARD_ALLOW;
    (void)read_choice(r, row, member, GUARD_ACTION_NAMES, &action); /* what is wrong was said */
    *(enum guard_action *)field = (enum guard_action)action;
}

static void read_mode(struct reader *r, uint32_t row, const char *member, void *field)
{
    int mode = GUARD_OFF;
    r->form->says_mode = read_choice(r, row, member, GUARD_MODE_NAMES, &mode);
    *(enum guard_mode *)field = (enum guard_mode)mode;
}

static void read_blocked_reply(struct reader *r, uint32_t row, const char *member, void *field)
{
    int what = GUARD_BLOCKED_PARTIAL;
    r->form->says_blocked_reply = read_choice(r, row, member, GUARD_BLOCKED_REPLIES, &what);
    *(enum guard_blocked_reply *)field = (enum guard_blocked_reply)what;
}

static void read_restore(struct reader *r, uint32_t row, const char *member, void *field)
{
    r->form->says_restore = json_bool(&r->index, row, field) == ERR_OK;
    if (!r->form->says_restore) {
        mistyped(r, member, "true or false");
    }
}

static void read_threshold(struct reader *r, uint32_t row, const char *member, void *field)
{
    double number;
    if (json_double(&r->index, row, &number) != ERR_OK || number < 0 || number > 1) {
        mistyped(r, member, "a number from 0 to 1");
    } else {
        *(int64_t *)field = number > 0 ? (int64_t)(number * NANO) : 1; /* 0: not said */
    }
}

/* A value of a mapping: a text, or a number as the compiler reads it. */
static const char *read_value(struct reader *r, uint32_t row, const char *member)
{
    double number;
    char text[NUMBER_BYTES];
    if (json_kind(&r->index, row) != JSON_NUMBER) {
        return read_string(r, row, member);
    }
    bool is_known = json_double(&r->index, row, &number) == ERR_OK && number >= 0 && number <= 1;
    if (is_known) {
        (void)snprintf(text, sizeof(text), "%.4f", number); /* fits */
    } else {
        span_copy_text(json_source(&r->index, row), text, sizeof(text));
    }
    struct span copy = arena_copy(r->arena, span_of(text));
    r->out_of_memory = r->out_of_memory || copy.at == NULL;
    return (const char *)copy.at;
}

/* Whether a row is an object that names no member twice. */
static bool is_object(struct reader *r, uint32_t row, const char *member)
{
    uint32_t twice = JSON_NONE;
    char name[GUARD_NAME_BYTES];
    if (json_kind(&r->index, row) != JSON_OBJECT) {
        mistyped(r, member, "an object");
        return false;
    }
    if (json_first_duplicate(&r->index, row, &twice) != ERR_OK) {
        r->out_of_memory = true;
    } else if (twice != JSON_NONE) {
        span_copy_text(json_inside(&r->index, twice), name, sizeof(name));
        guard_say(&r->telling, true, member, "says '%s' twice", name);
    }
    return twice == JSON_NONE && !r->out_of_memory;
}

static void put_under(const char *member, const char *name, char out[GUARD_MEMBER_BYTES])
{
    (void)snprintf(out, GUARD_MEMBER_BYTES, "%s%s%.64s", member, member[0] == '\0' ? "" : ".",
                   name); /* cut, it is no member's */
}

static const char *key_text(struct reader *r, uint32_t key)
{
    struct span text = {NULL, 0};
    enum err e = json_text(&r->index, key, r->arena, &text);
    struct span copy = e == ERR_OK ? arena_copy(r->arena, text) : (struct span){NULL, 0};
    r->out_of_memory = r->out_of_memory || e == ERR_NO_MEMORY || (e == ERR_OK && copy.at == NULL);
    return copy.at == NULL ? "" : (const char *)copy.at;
}

static void read_pairs(struct reader *r, uint32_t row, const char *member, void *field)
{
    if (!is_object(r, row, member)) {
        return;
    }
    size_t count = json_count(&r->index, row);
    struct pair *pairs = arena_new(r->arena, (count + 1) * sizeof(*pairs));
    if (pairs == NULL || count > GUARD_PAIRS_MAX) {
        r->out_of_memory = r->out_of_memory || pairs == NULL;
        guard_say(&r->telling, false, member, "takes %d names at most", GUARD_PAIRS_MAX);
        return;
    }
    struct pairs out = {pairs, 0};
    for (uint32_t key = json_first(&r->index, row); key != JSON_NONE;
         key = json_next(&r->index, key)) {
        char at[GUARD_MEMBER_BYTES];
        struct pair *pair = &pairs[out.count];
        pair->name = key_text(r, key);
        put_under(member, pair->name, at);
        pair->value = read_value(r, json_value(&r->index, key), at);
        out.count += pair->value != NULL;
    }
    *(struct pairs *)field = out;
}

static void read_words(struct reader *r, uint32_t row, const char *member, void *field)
{
    if (json_kind(&r->index, row) != JSON_ARRAY) {
        mistyped(r, member, "a list of texts");
        return;
    }
    size_t count = json_count(&r->index, row);
    const char **words = arena_new(r->arena, (count + 1) * sizeof(*words));
    struct texts out = {words, 0};
    r->out_of_memory = r->out_of_memory || words == NULL;
    for (uint32_t item = words == NULL ? JSON_NONE : json_first(&r->index, row); item != JSON_NONE;
         item = json_next(&r->index, item)) {
        words[out.count] = read_string(r, item, member);
        out.count += words[out.count] != NULL;
    }
    *(struct texts *)field = out;
}

static void refuse_file(struct reader *r, uint32_t row, const char *member, void *field)
{
    (void)row;
    (void)field;
    guard_say(&r->telling, true, member,
              "files are of the gateway's configuration; a team's list has `words`");
}

static void refuse_external(struct reader *r, uint32_t row, const char *member, void *field)
{
    (void)row;
    (void)field;
    guard_say(&r->telling, true, member,
              "which scanners are asked over HTTP stands in the gateway's configuration");
}

static void say_unknown(struct reader *r, const char *member, const char *name,
                        const struct member *members, size_t count)
{
    const char *names[MEMBERS_MAX];
    for (size_t i = 0; i < count; i++) {
        names[i] = members[i].name;
    }
    const char *meant = text_nearest(span_of(name), names, count);
    guard_say(&r->telling, true, member, "there is no such member%s%s%s",
              meant == NULL ? "" : " — did you mean '", meant == NULL ? "" : meant,
              meant == NULL ? "" : "'?");
}

/* Reads an object's members into `base`. */
static void read_object(struct reader *r, uint32_t row, const char *member,
                        const struct member *members, size_t count, void *base)
{
    if (!is_object(r, row, member)) {
        return;
    }
    for (uint32_t key = json_first(&r->index, row); key != JSON_NONE;
         key = json_next(&r->index, key)) {
        char at[GUARD_MEMBER_BYTES];
        const char *name = key_text(r, key);
        size_t i = 0;
        uint32_t value = json_value(&r->index, key);
        put_under(member, name, at);
        while (i < count && strcmp(members[i].name, name) != 0) {
            i++;
        }
        if (i == count) {
            say_unknown(r, at, name, members, count);
        } else if (json_kind(&r->index, value) != JSON_NULL) {
            members[i].read(r, value, at, (char *)base + members[i].offset);
        }
    }
}

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

/* What an object may say. */
struct shape {
    const struct member *members;
    size_t count;
};

static void read_rules(struct reader *r, uint32_t row, const char *member, struct shape shape,
                       const struct guard_rule_form **out, size_t *out_count)
{
    if (json_kind(&r->index, row) != JSON_ARRAY) {
        mistyped(r, member, "a list of objects");
        return;
    }
    size_t rules_count = json_count(&r->index, row);
    struct guard_rule_form *rules = arena_new(r->arena, (rules_count + 1) * sizeof(*rules));
    r->out_of_memory = r->out_of_memory || rules == NULL;
    size_t i = 0;
    for (uint32_t item = rules == NULL ? JSON_NONE : json_first(&r->index, row); item != JSON_NONE;
         item = json_next(&r->index, item)) {
        char at[GUARD_MEMBER_BYTES];
        (void)snprintf(at, sizeof(at), "%.64s[%zu]", member, i); /* fits */
        rules[i].action = GUARD_BLOCK;                           /* if it says no other */
        read_object(r, item, at, shape.members, shape.count, &rules[i++]);
    }
    *out = rules;
    *out_count = rules == NULL ? 0 : rules_count;
}

static const struct member pattern_members[] = {
    {"name", read_text, offsetof(struct guard_rule_form, name)},
    {"regex", read_text, offsetof(struct guard_rule_form, regex)},
    {"action", read_action, offsetof(struct guard_rule_form, action)},
};

static const struct member list_members[] = {
    {"name", read_text, offsetof(struct guard_rule_form, name)},
    {"words", read_words, offsetof(struct guard_rule_form, words)},
    {"file", refuse_file, 0},
    {"action", read_action, offsetof(struct guard_rule_form, action)},
};

static const struct shape pattern_shape = {pattern_members, COUNT_OF(pattern_members)};
static const struct shape list_shape = {list_members, COUNT_OF(list_members)};

static void read_patterns(struct reader *r, uint32_t row, const char *member, void *field)
{
    struct guard_form *f = field;
    read_rules(r, row, member, pattern_shape, &f->patterns, &f->patterns_count);
}

static void read_wordlists(struct reader *r, uint32_t row, const char *member, void *field)
{
    struct guard_form *f = field;
    read_rules(r, row, member, list_shape, &f->wordlists, &f->wordlists_count);
}

static void read_dictionary(struct reader *r, uint32_t row, const char *member, void *field)
{
    struct guard_form *f = field;
    read_rules(r, row, member, list_shape, &f->dictionary, &f->dictionary_count);
}

static void read_injection(struct reader *r, uint32_t row, const char *member, void *field)
{
    static const struct member members[] = {
        {"action", read_action, offsetof(struct guard_form, injection_action)},
        {"threshold", read_threshold, offsetof(struct guard_form, threshold_nano)},
    };
    struct guard_form *f = field;
    read_object(r, row, member, members, COUNT_OF(members), f);
    f->says_injection = json_find(&r->index, row, SPAN("action")) != JSON_NONE;
}

static const struct member form_members[] = {
    {"mode", read_mode, offsetof(struct guard_form, mode)},
    {"prompts", read_pairs, offsetof(struct guard_form, actions[GUARD_PROMPT])},
    {"replies", read_pairs, offsetof(struct guard_form, actions[GUARD_REPLY])},
    {"restore", read_restore, offsetof(struct guard_form, restores)},
    {"blocked_reply", read_blocked_reply, offsetof(struct guard_form, blocked_reply)},
    {"min_confidence", read_pairs, offsetof(struct guard_form, min_confidence)},
    {"classes", read_pairs, offsetof(struct guard_form, classes)},
    {"patterns", read_patterns, 0},
    {"wordlists", read_wordlists, 0},
    {"dictionary", read_dictionary, 0},
    {"injection", read_injection, 0},
    {"external", refuse_external, 0},
};

enum err guard_form_read(struct span json, struct arena *arena, guard_problem *problem, void *ctx,
                         struct guard_form *out)
{
    struct reader r = {.arena = arena, .telling = {.problem = problem, .ctx = ctx}, .form = out};
    *out = (struct guard_form){.is_given = true};
    json_index_init(&r.index, ROWS_MAX, DEPTH_MAX);
    enum err e =
        json.len > GUARD_FORM_BYTES ? ERR_BODY_TOO_LARGE : json_index_parse_borrow(&r.index, json);
    if (e == ERR_OK) {
        read_object(&r, 0, "", form_members, COUNT_OF(form_members), out);
    } else if (e != ERR_NO_MEMORY) {
        guard_say(&r.telling, false, "", "takes an object of JSON of %d bytes at most",
                  GUARD_FORM_BYTES);
    }
    json_index_fini(&r.index);
    return r.out_of_memory || e == ERR_NO_MEMORY ? ERR_NO_MEMORY
           : r.telling.is_wrong                  ? ERR_CONFIG
                                                 : ERR_OK;
}

static void forget(void *ctx, const char *member, bool is_name, const char *sentence)
{
    (void)ctx;
    (void)member;
    (void)is_name;
    (void)sentence;
}

enum err guard_policy_of_team(struct span json, struct guard_policy **out)
{
    struct arena arena;
    struct guard_form form;
    arena_init(&arena, ARENA_BYTES);
    enum err e = guard_form_read(json, &arena, forget, NULL, &form);
    if (e == ERR_OK) {
        e = guard_compile(&form, GUARD_TEAM_FIRST, forget, NULL, out);
    }
    arena_fini(&arena);
    return e;
}
