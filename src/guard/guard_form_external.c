/* SPDX-License-Identifier: Apache-2.0 */
/* The scanners of a form. Each has a type of its own name, for what it finds and nobody has named;
 * those that its `types` name are shared by all that find them. */
#include <stdio.h>
#include <string.h>

#include "guard/guard_form_internal.h"

#define NANO_A_PERCENT INT64_C(10000000)

static void put_member(size_t i, const char *key, char out[GUARD_MEMBER_BYTES])
{
    (void)snprintf(out, GUARD_MEMBER_BYTES, "external[%zu].%s", i, key); /* fits */
}

static bool is_taken(const struct guard_policy *p, struct span name)
{
    bool is_rules =
        p->rules != NULL && guard_rules_find(p->rules, name) != (unsigned)GUARD_TYPES_MAX;
    return guard_type_find(name) < GUARD_BUILTINS || is_rules ||
           guard_named_find(p, name) != (unsigned)GUARD_TYPES_MAX;
}

/* Whether a name can be a type's; else that is said of `member`. */
static bool check_name(struct guard_telling *t, const char *member, const char *name)
{
    bool is_good = name != NULL && guard_form_is_name(name) && strcmp(name, "default") != 0;
    if (!is_good) {
        guard_say(t, false, member,
                  "'%.64s' is no name of a type: a small letter, then small letters, digits and "
                  "_, %d at most",
                  name == NULL ? "" : name, GUARD_NAME_BYTES - 1);
    }
    return is_good;
}

static void add_type(struct guard_policy *p, struct guard_telling *t, const char *member,
                     const char *name)
{
    if (p->named_first + p->named_count >= GUARD_TEAM_FIRST) {
        guard_say(t, false, member, "there are more than %d types, those of rules among them",
                  GUARD_TEAM_FIRST - GUARD_BUILTINS);
        return;
    }
    (void)snprintf(p->named[p->named_count++], GUARD_NAME_BYTES, "%s", name); /* it was checked */
}

static void add_types(const struct guard_external_form *form, size_t i, struct guard_telling *t,
                      struct guard_policy *p)
{
    char member[GUARD_MEMBER_BYTES];
    put_member(i, "types", member);
    for (size_t k = 0; k < form->types.count; k++) {
        const char *name = form->types.at[k];
        if (check_name(t, member, name) && !is_taken(p, span_of(name))) {
            add_type(p, t, member, name);
        }
    }
}

static void check(const struct guard_external_form *form, size_t i, struct guard_telling *t)
{
    char member[GUARD_MEMBER_BYTES];
    size_t len = form->language == NULL ? 0 : strlen(form->language);
    put_member(i, "language", member);
    if (len >= GUARD_LANGUAGE_MAX) {
        guard_say(t, false, member, "'%.64s' is no code of a language, such as en or ar",
                  form->language);
    }
}

/* Adds one and the type of its name. */
static void add(const struct guard_external_form *form, size_t i, struct guard_telling *t,
                struct guard_policy *p)
{
    char member[GUARD_MEMBER_BYTES];
    put_member(i, "name", member);
    if (!check_name(t, member, form->name)) {
        return;
    }
    if (is_taken(p, span_of(form->name))) {
        guard_say(t, false, member, "'%s' means something already; choose another name",
                  form->name);
        return;
    }
    check(form, i, t);
    struct guard_scanner *s = &p->scanners[p->scanner_count++];
    s->kind = form->kind;
    s->on_failure = form->on_failure;
    s->timeout_ms = form->timeout_ms;
    s->percent = (uint8_t)(form->score_nano / NANO_A_PERCENT);
    s->type = (uint16_t)(p->named_first + p->named_count);
    (void)snprintf(s->name, sizeof(s->name), "%s", form->name); /* it was checked */
    (void)snprintf(s->language, sizeof(s->language), "%s",
                   form->language == NULL ? "" : form->language); /* it was checked */
    add_type(p, t, member, form->name);
}

enum err guard_form_external(const struct guard_form *f, unsigned first, struct guard_telling *t,
                             struct guard_policy *p)
{
    p->named_first = first;
    if (f->external_count == 0) {
        return ERR_OK;
    }
    p->named = memory_new(GUARD_TEAM_FIRST * sizeof(*p->named));
    if (p->named == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < f->external_count && i < GUARD_EXTERNAL_MAX; i++) {
        add(&f->external[i], i, t, p);
    }
    for (size_t i = 0; i < f->external_count; i++) {
        add_types(&f->external[i], i, t, p);
    }
    return ERR_OK;
}
