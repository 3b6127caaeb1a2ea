/* SPDX-License-Identifier: Apache-2.0 */
/* A form becomes a policy: first its rules, which give types their names, then what is said of
 * types by these names. */
#include "guard/guard_form.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "guard/guard_form_internal.h"
#include "text/text_near.h"

#define NAMES_MAX      (GUARD_TEAM_FIRST + GUARD_RULES_MAX + 1)
#define DEFAULT        "default"
#define WORDS_MORE     65536 /* lines of a list that stands in the form, beside its file's bound */
#define NANO_A_PERCENT INT64_C(10000000)

/* A rule and its place in the form. */
struct entry {
    const struct guard_rule_form *form;
    enum guard_rule_kind kind;
    size_t index;
};

struct compiler {
    const struct guard_form *form;
    struct guard_policy *policy;
    struct guard_telling telling;
    unsigned first;
    struct guard_rule_source sources[GUARD_RULES_MAX];
    struct entry entries[GUARD_RULES_MAX]; /* that the sources are of */
    size_t count;
    struct buf words; /* of lists that stand in the form */
};

/* Where a rule stands in the form: "patterns[2].regex". */
static void put_member(const struct entry *rule, const char *key, char out[GUARD_MEMBER_BYTES])
{
    static const char *const lists[] = {[GUARD_RULE_PATTERN] = "patterns",
                                        [GUARD_RULE_WORDLIST] = "wordlists",
                                        [GUARD_RULE_DICTIONARY] = "dictionary"};
    (void)snprintf(out, GUARD_MEMBER_BYTES, "%s[%zu]%s%s", lists[rule->kind], rule->index,
                   key[0] == '\0' ? "" : ".", key); /* fits */
}

/* ---- the operator's rules ---- */

static void check_name(struct compiler *c, const struct entry *entry)
{
    char member[GUARD_MEMBER_BYTES];
    const struct guard_rule_form *rule = entry->form;
    put_member(entry, "name", member);
    if (rule->name == NULL) {
        guard_say(&c->telling, false, member, "a rule needs a `name`, such as project_code");
    } else if (!guard_form_is_name(rule->name)) {
        guard_say(&c->telling, false, member,
                  "'%.64s' is no name of a type: a small letter, then small letters, digits and "
                  "_, %d at most",
                  rule->name, GUARD_NAME_BYTES - 1);
    } else if (guard_type_find(span_of(rule->name)) < GUARD_BUILTINS ||
               strcmp(rule->name, DEFAULT) == 0) {
        guard_say(&c->telling, false, member, "'%s' means something already; choose another name",
                  rule->name);
    }
    for (size_t i = 0; i < c->count && rule->name != NULL; i++) {
        if (span_is(c->sources[i].name, rule->name)) {
            guard_say(&c->telling, false, member, "two rules are called '%.64s'", rule->name);
        }
    }
}

/* The words of a list that stands in the form, a line each, behind those of others. */
static struct span join_words(struct compiler *c, const struct entry *entry)
{
    size_t from = buf_span(&c->words).len;
    char member[GUARD_MEMBER_BYTES];
    const struct guard_rule_form *rule = entry->form;
    for (size_t i = 0; i < rule->words.count; i++) {
        if (strpbrk(rule->words.at[i], "\r\n") != NULL) {
            put_member(entry, "words", member);
            guard_say(&c->telling, false, member, "a word has no line's end in it");
        }
        buf_put_text(&c->words, rule->words.at[i]);
        buf_put_byte(&c->words, '\n');
    }
    /* The buffer may move: the place is filled in when all are there. */
    return (struct span){NULL, buf_span(&c->words).len - from};
}

static void add_rule(struct compiler *c, const struct entry *entry)
{
    char member[GUARD_MEMBER_BYTES];
    const struct guard_rule_form *rule = entry->form;
    bool is_pattern = entry->kind == GUARD_RULE_PATTERN;
    check_name(c, entry);
    put_member(entry, "", member);
    if (c->count == GUARD_RULES_MAX) {
        guard_say(&c->telling, false, member, "there are more than %d rules", GUARD_RULES_MAX);
        return;
    }
    if (is_pattern && rule->regex == NULL) {
        guard_say(&c->telling, false, member, "a pattern needs a `regex`, such as PRJ-[0-9]{6}");
    } else if (!is_pattern && (rule->words.count > 0) == (rule->file != NULL)) {
        guard_say(&c->telling, false, member, "a list has either a `file` or `words`");
    }
    c->entries[c->count] = *entry;
    c->sources[c->count++] = (struct guard_rule_source){
        .kind = entry->kind,
        .name = span_of(rule->name == NULL ? "" : rule->name),
        .text = is_pattern           ? span_of(rule->regex == NULL ? "" : rule->regex)
                : rule->file != NULL ? rule->text
                                     : join_words(c, entry)};
}

/* Points at the words that were joined, in their order. */
static void place_words(struct compiler *c)
{
    const uint8_t *at = buf_span(&c->words).at;
    for (size_t i = 0; i < c->count; i++) {
        if (c->sources[i].kind != GUARD_RULE_PATTERN && c->entries[i].form->file == NULL) {
            c->sources[i].text.at = at;
            at += c->sources[i].text.len;
        }
    }
}

static void add_rules(struct compiler *c, const struct guard_rule_form *rules, size_t count,
                      enum guard_rule_kind kind)
{
    for (size_t i = 0; i < count; i++) {
        const struct entry entry = {&rules[i], kind, i};
        add_rule(c, &entry);
    }
}

static enum err make_rules(struct compiler *c)
{
    const struct guard_form *f = c->form;
    char fault[GUARD_RULES_FAULT] = "";
    char member[GUARD_MEMBER_BYTES];
    size_t which = 0;
    add_rules(c, f->patterns, f->patterns_count, GUARD_RULE_PATTERN);
    add_rules(c, f->wordlists, f->wordlists_count, GUARD_RULE_WORDLIST);
    add_rules(c, f->dictionary, f->dictionary_count, GUARD_RULE_DICTIONARY);
    if (buf_failed(&c->words)) {
        return ERR_NO_MEMORY;
    }
    if (c->count == 0 || c->telling.is_wrong) {
        return ERR_OK; /* what is said of types is looked at all the same */
    }
    place_words(c);
    enum err e = guard_rules_new(c->sources, c->count, c->first, fault, &which, &c->policy->rules);
    if (e == ERR_CONFIG) {
        const struct entry *rule = &c->entries[which < c->count ? which : 0];
        bool is_pattern = rule->kind == GUARD_RULE_PATTERN;
        put_member(rule,
                   is_pattern                 ? "regex"
                   : rule->form->file != NULL ? "file"
                                              : "words",
                   member);
        guard_say(&c->telling, false, member, "%s", fault);
    }
    return e == ERR_NO_MEMORY ? e : ERR_OK;
}

/* ---- what is said of types ---- */

static unsigned find_type(const struct compiler *c, const char *name)
{
    unsigned type = guard_type_find(span_of(name));
    if (type < GUARD_BUILTINS) {
        return type;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (span_is(c->sources[i].name, name)) {
            return c->first + (unsigned)i;
        }
    }
    return guard_named_find(c->policy, span_of(name));
}

static void say_unknown(struct compiler *c, const char *member, const char *name, bool has_default)
{
    const char *names[NAMES_MAX];
    char room[GUARD_BUILTINS][GUARD_NAME_BYTES];
    size_t count = 0;
    for (unsigned i = 0; i < GUARD_BUILTINS; i++) {
        span_copy_text(guard_type_name(i), room[i], sizeof(room[i]));
        names[count++] = room[i];
    }
    for (size_t i = 0; i < c->count; i++) {
        names[count++] = (const char *)c->sources[i].name.at;
    }
    for (size_t i = 0; i < c->policy->named_count; i++) {
        names[count++] = c->policy->named[i];
    }
    if (has_default) {
        names[count++] = DEFAULT;
    }
    const char *meant = text_nearest(span_of(name), names, count);
    if (meant != NULL) {
        guard_say(&c->telling, true, member, "there is no type '%.64s' — did you mean '%s'?", name,
                  meant);
    } else {
        guard_say(&c->telling, true, member,
                  "there is no type '%.64s'; docs/guard.md lists them, and rules have their own",
                  name);
    }
}

/* Where a pair stands: "prompts.email". */
static void put_pair(const char *mapping, const char *name, char out[GUARD_MEMBER_BYTES])
{
    (void)snprintf(out, GUARD_MEMBER_BYTES, "%s.%.100s", mapping, name); /* cut, it is no type's */
}

/* Says that a value is none of some names, and perhaps which was meant. */
static void say_none_of(struct compiler *c, const char *member, const char *value,
                        const char *const *names, size_t count)
{
    char listed[GUARD_SENTENCE / 2] = "";
    size_t len = 0;
    for (size_t i = 0; i < count && len < sizeof(listed); i++) {
        len += (size_t)snprintf(listed + len, sizeof(listed) - len, "%s%s", i == 0 ? "" : ", ",
                                names[i]); /* fits */
    }
    const char *meant = text_nearest(span_of(value), names, count);
    guard_say(&c->telling, false, member, "takes one of %s, not '%.64s'%s%s%s", listed, value,
              meant == NULL ? "" : " — did you mean '", meant == NULL ? "" : meant,
              meant == NULL ? "" : "'?");
}

static bool find_action(struct compiler *c, const char *member, const char *value,
                        enum guard_action *out)
{
    static const char *const names[] = {"allow",  "flag",       "mask", "hash",
                                        "redact", "local_only", "block"};
    for (unsigned a = 0; a < GUARD_ACTIONS; a++) {
        if (strcmp(value, names[a]) == 0) {
            *out = (enum guard_action)a;
            return true;
        }
    }
    say_none_of(c, member, value, names, GUARD_ACTIONS);
    return false;
}

/* What a rule's own action is in a reply: a reply has come already, wherever it was made. */
static enum guard_action in_replies(enum guard_action a)
{
    return a == GUARD_LOCAL_ONLY ? GUARD_FLAG : a;
}

static void set_default(struct guard_policy *p, enum guard_direction d, enum guard_action action)
{
    p->defaults[d] = (uint8_t)action;
    for (unsigned type = 0; type < GUARD_BUILTINS; type++) {
        p->actions[d][type] = type == GUARD_INJECTION ? GUARD_ALLOW : (uint8_t)action;
    }
}

static void set_action(struct compiler *c, enum guard_direction d, const struct pair *pair,
                       bool is_default)
{
    char member[GUARD_MEMBER_BYTES];
    enum guard_action action;
    unsigned type = find_type(c, pair->name);
    if ((strcmp(pair->name, DEFAULT) == 0) != is_default) {
        return; /* its turn is before, or behind */
    }
    put_pair(d == GUARD_PROMPT ? "prompts" : "replies", pair->name, member);
    if (!is_default && type == GUARD_TYPES_MAX) {
        say_unknown(c, member, pair->name, true);
    } else if (type == GUARD_INJECTION) {
        guard_say(&c->telling, true, member, "what is done about injection stands in `injection:`");
    } else if (!find_action(c, member, pair->value, &action)) {
        return;
    } else if (d == GUARD_REPLY && action == GUARD_LOCAL_ONLY) {
        guard_say(&c->telling, false, member,
                  "local_only says where a prompt goes; of a reply choose another action");
    } else if (is_default) {
        set_default(c->policy, d, action);
    } else {
        c->policy->actions[d][type] = (uint8_t)action;
    }
}

static void set_actions(struct compiler *c, enum guard_direction d)
{
    const struct pairs *said = &c->form->actions[d];
    for (size_t i = 0; i < said->count; i++) {
        set_action(c, d, &said->at[i], true);
    }
    for (size_t i = 0; i < c->count; i++) {
        enum guard_action own = c->entries[i].form->action;
        c->policy->actions[d][c->first + i] = (uint8_t)(d == GUARD_REPLY ? in_replies(own) : own);
    }
    if (d == GUARD_PROMPT) { /* replies are not shown to scanners */
        memset(&c->policy->actions[d][c->policy->named_first], GUARD_FLAG, c->policy->named_count);
    }
    for (size_t i = 0; i < said->count; i++) {
        set_action(c, d, &said->at[i], false);
    }
}

/* "0.85" in percent. */
static bool read_percent(const char *text, uint8_t *out)
{
    const char *digits = text + (text[0] == '0' || text[0] == '1');
    unsigned percent = text[0] == '1' ? 100 : 0;
    size_t decimals = digits[0] == '.' ? strspn(digits + 1, "0123456789") : 0;
    size_t len = digits[0] == '.' ? 1 + decimals : 0;
    bool is_one = digits > text && digits[len] == '\0' && (digits[0] != '.' || decimals > 0);
    if (!is_one || (percent == 100 && strspn(digits, ".0") != len)) {
        return false;
    }
    if (percent == 0 && decimals > 0) {
        percent = 10U * (unsigned)(digits[1] - '0');
        percent += decimals > 1 ? (unsigned)(digits[2] - '0') : 0;
    }
    *out = (uint8_t)(percent == 0 ? 1 : percent); /* 0: nothing is said */
    return true;
}

static void set_percent(struct compiler *c, const struct pair *pair)
{
    char member[GUARD_MEMBER_BYTES];
    unsigned type = find_type(c, pair->name);
    uint8_t percent;
    put_pair("min_confidence", pair->name, member);
    if (type == GUARD_TYPES_MAX) {
        say_unknown(c, member, pair->name, false);
    } else if (type == GUARD_INJECTION) {
        guard_say(&c->telling, true, member, "that of injection is `injection.threshold`");
    } else if (!read_percent(pair->value, &percent)) {
        guard_say(&c->telling, false, member, "a confidence is a number from 0 to 1, not '%.64s'",
                  pair->value);
    } else {
        c->policy->percents[type] = percent;
    }
}

static void set_class(struct compiler *c, const struct pair *pair)
{
    static const char *const names[] = {"public", "internal", "restricted", "secret", "top-secret"};
    char member[GUARD_MEMBER_BYTES];
    unsigned type = find_type(c, pair->name);
    enum data_class class;
    put_pair("classes", pair->name, member);
    if (type == GUARD_TYPES_MAX) {
        say_unknown(c, member, pair->name, false);
    } else if (data_class_find(span_of(pair->value), &class)) {
        c->policy->classes[type] = (uint8_t) class;
    } else {
        say_none_of(c, member, pair->value, names, sizeof(names) / sizeof(names[0]));
    }
}

static void set_injection(struct compiler *c)
{
    enum guard_action action = c->form->injection_action;
    int64_t percent = c->form->threshold_nano / NANO_A_PERCENT;
    if (guard_changes(action)) {
        guard_say(&c->telling, false, "injection.action",
                  "an attempt at injection is no value that could be replaced: allow, flag, "
                  "local_only or block");
    }
    c->policy->actions[GUARD_PROMPT][GUARD_INJECTION] = (uint8_t)action;
    c->policy->injection_percent =
        (uint8_t)(c->form->threshold_nano > 0 && percent == 0 ? 1 : percent);
}

static enum err compile(struct compiler *c)
{
    const struct guard_form *f = c->form;
    struct guard_policy *p = c->policy;
    p->mode = f->mode;
    p->restores = f->restores;
    p->says_restore = f->says_restore;
    p->empties_blocked = f->blocked_reply == GUARD_BLOCKED_EMPTY;
    enum err e = make_rules(c);
    e = e == ERR_OK ? guard_form_external(f, c->first + (unsigned)c->count, &c->telling, p) : e;
    if (e != ERR_OK) {
        return e;
    }
    set_actions(c, GUARD_PROMPT);
    set_actions(c, GUARD_REPLY);
    for (size_t i = 0; i < f->min_confidence.count; i++) {
        set_percent(c, &f->min_confidence.at[i]);
    }
    for (size_t i = 0; i < f->classes.count; i++) {
        set_class(c, &f->classes.at[i]);
    }
    set_injection(c);
    return c->telling.is_wrong ? ERR_CONFIG : guard_form_digest(f, p->digest);
}

enum err guard_compile(const struct guard_form *form, unsigned first, guard_problem *problem,
                       void *ctx, struct guard_policy **out)
{
    struct compiler *c = memory_new(sizeof(*c));
    struct guard_policy *p = NULL;
    enum err e = c == NULL ? ERR_NO_MEMORY : guard_policy_new(&p);
    if (e == ERR_OK) {
        c->form = form;
        c->policy = p;
        c->first = first;
        c->telling = (struct guard_telling){.problem = problem, .ctx = ctx};
        buf_init(&c->words, GUARD_WORDS_BYTES + WORDS_MORE);
        e = compile(c);
        buf_fini(&c->words);
    }
    memory_free(c);
    if (e == ERR_OK) {
        *out = p;
    } else {
        guard_policy_unref(&p);
    }
    return e;
}
