/* SPDX-License-Identifier: Apache-2.0 */
/* Constants, facts and lists: what stands where a value is wanted. */
#include <stdlib.h>

#include "condition/condition_compile_internal.h"
#include "text/text_near.h"

enum err condition_push_constant(struct condition_compiler *k, enum condition_kind kind,
                                 struct condition_value value)
{
    struct condition_operand o = {.kind = kind,
                                  .at = k->token.at,
                                  .end = k->token.at + k->token.len,
                                  .fact = CONDITION_NO_FACT,
                                  .is_constant = true};
    enum err e = condition_add_constant(k, value, kind == KIND_TEXT, &o.first);
    e = e == ERR_OK ? condition_emit(k, (struct condition_step){OP_CONSTANT, 0, o.first, 0}) : e;
    e = e == ERR_OK ? condition_push(k, o) : e;
    return e == ERR_OK ? condition_next(k) : e;
}

static enum err read_int(struct condition_compiler *k, int64_t *out)
{
    uint64_t number;
    if (!span_to_u64(k->token.value, INT64_MAX, &number)) {
        return condition_refuse_here(k, "the number is too large");
    }
    *out = (int64_t)number;
    return ERR_OK;
}

enum err condition_push_number(struct condition_compiler *k)
{
    struct condition_value value = {.number = 0};
    if (k->token.word == WORD_INT) {
        enum err e = read_int(k, &value.number);
        return e == ERR_OK ? condition_push_constant(k, KIND_INT, value) : e;
    }
    char text[48];
    span_copy_text(k->token.value, text, sizeof(text));
    value.real = strtod(text, NULL); /* digits, a point and digits */
    return condition_push_constant(k, KIND_REAL, value);
}

static enum err refuse_name(struct condition_compiler *k, struct span name)
{
    const char *names[CONDITION_FACTS_MAX];
    for (size_t i = 0; i < k->c->fact_count; i++) {
        names[i] = k->c->facts[i].name;
    }
    const char *meant = text_nearest(name, names, k->c->fact_count);
    struct span shown = span_cut_text(name, 40);
    if (meant != NULL) {
        return condition_refuse(k->problem, k->token.at, k->token.len,
                                "there is no fact '%.*s' — did you mean '%s'?", SPAN_ARGS(shown),
                                meant);
    }
    return condition_refuse(k->problem, k->token.at, k->token.len,
                            "there is no fact '%.*s'; a text stands in quotes: '%.*s'",
                            SPAN_ARGS(shown), SPAN_ARGS(shown));
}

enum err condition_push_fact(struct condition_compiler *k)
{
    struct condition_draft *c = k->c;
    size_t fact = 0;
    while (fact < c->fact_count && !span_is(k->token.value, c->facts[fact].name)) {
        fact++;
    }
    if (fact == c->fact_count) {
        return refuse_name(k, k->token.value);
    }
    if (c->facts[fact].missing != NULL) {
        return condition_refuse(k->problem, k->token.at, k->token.len, "'%s' may not be used: %s",
                                c->facts[fact].name, c->facts[fact].missing);
    }
    struct condition_operand o = {.kind = (enum condition_kind)c->facts[fact].type,
                                  .at = k->token.at,
                                  .end = k->token.at + k->token.len,
                                  .fact = (int)fact};
    enum err e = ERR_OK;
    c->uses |= UINT64_C(1) << fact;
    if (o.kind != KIND_MAP) { /* whose members are values */
        e = condition_emit(k, (struct condition_step){OP_FACT, 0, (uint16_t)fact, 0});
    }
    e = e == ERR_OK ? condition_push(k, o) : e;
    return e == ERR_OK ? condition_next(k) : e;
}

/* One constant of a list. */
static enum err read_item(struct condition_compiler *k, struct condition_operand *list)
{
    struct condition_value value = {.number = 0};
    uint16_t place;
    bool is_negative = k->token.word == WORD_MINUS;
    enum err e = is_negative ? condition_next(k) : ERR_OK;
    enum condition_kind kind = KIND_LIST_OF_TEXTS;
    if (e == ERR_OK && k->token.word == WORD_INT) {
        kind = KIND_LIST_OF_INTS;
        e = read_int(k, &value.number);
        value.number = is_negative ? -value.number : value.number;
    } else if (e == ERR_OK && k->token.word == WORD_TEXT && !is_negative) {
        value.text = k->token.value;
    } else if (e == ERR_OK) {
        return condition_refuse_here(k, "a list holds texts in quotes, or whole numbers");
    }
    if (e == ERR_OK && list->count > 0 && kind != list->kind) {
        return condition_refuse_here(k, "a list holds texts or numbers, not both");
    }
    list->kind = kind;
    e = e == ERR_OK ? condition_add_constant(k, value, kind == KIND_LIST_OF_TEXTS, &place) : e;
    list->count++;
    return e == ERR_OK ? condition_next(k) : e;
}

enum err condition_push_list(struct condition_compiler *k)
{
    struct condition_operand list = {.kind = KIND_LIST_OF_TEXTS,
                                     .at = k->token.at,
                                     .fact = CONDITION_NO_FACT,
                                     .is_constant = true,
                                     .first = (uint16_t)k->c->constant_count};
    enum err e = condition_next(k);
    while (e == ERR_OK && k->token.word != WORD_UNLIST) {
        e = read_item(k, &list);
        if (e == ERR_OK && k->token.word == WORD_COMMA) {
            e = condition_next(k);
        } else if (e == ERR_OK && k->token.word != WORD_UNLIST) {
            e = condition_refuse_here(k, "a `,` or a `]` is missing here");
        }
    }
    if (e == ERR_OK && list.count == 0) {
        return condition_refuse_here(k, "the list is empty: nothing is in it");
    }
    list.end = k->token.at + k->token.len;
    e = e == ERR_OK ? condition_push(k, list) : e;
    return e == ERR_OK ? condition_next(k) : e;
}
