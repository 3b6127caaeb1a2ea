/* SPDX-License-Identifier: Apache-2.0 */
/* What fits with what, and the step that it makes. */
#include <stdio.h>

#include "condition/condition_compile_internal.h"
#include "text/text_near.h"

const char *condition_kind_name(enum condition_kind kind)
{
    static const char *const names[] = {
        [KIND_BOOL] = "true or false",
        [KIND_INT] = "a whole number",
        [KIND_REAL] = "a number",
        [KIND_TEXT] = "a text",
        [KIND_TEXTS] = "a list of texts",
        [KIND_MAP] = "a map of texts",
        [KIND_LIST_OF_TEXTS] = "a list of texts",
        [KIND_LIST_OF_INTS] = "a list of numbers",
    };
    return names[kind];
}

static bool is_number(const struct condition_operand *o)
{
    return o->kind == KIND_INT || o->kind == KIND_REAL;
}

/* What was written, for a sentence. */
static struct span shown(const struct condition_compiler *k, const struct condition_operand *o)
{
    return span_cut_text(span_cut(k->c->text, o->at, o->end - o->at), 40);
}

static enum err refuse(struct condition_compiler *k, const struct condition_operand *o,
                       const char *wanted)
{
    return condition_refuse(k->problem, o->at, o->end - o->at, "'%.*s' is %s; %s",
                            SPAN_ARGS(shown(k, o)), condition_kind_name(o->kind), wanted);
}

static struct condition_operand spanning(const struct condition_operand *left, size_t end,
                                         enum condition_kind kind)
{
    return (struct condition_operand){
        .kind = kind, .at = left->at, .end = end, .fact = CONDITION_NO_FACT};
}

/* ---- values that a fact cannot have ---- */

static bool is_among(const char *values, struct span value)
{
    struct span all = span_of(values);
    for (size_t at = 0; at <= all.len;) {
        size_t bar = span_find(all, '|', at);
        if (span_equal(span_cut(all, at, bar - at), value)) {
            return true;
        }
        at = bar + 1;
    }
    return false;
}

/* A comparison with what never is would be a rule that never holds: a misspelt word, most likely.
 */
static enum err check_value(struct condition_compiler *k, const struct condition_operand *fact,
                            const struct condition_operand *constants)
{
    const char *values = fact->fact < 0 ? NULL : k->c->facts[fact->fact].values;
    if (values == NULL || !constants->is_constant) {
        return ERR_OK;
    }
    size_t count = constants->kind == KIND_LIST_OF_TEXTS ? constants->count : 1;
    for (size_t i = 0; i < count; i++) {
        struct span value = k->c->constants[constants->first + i].text;
        if (!is_among(values, value)) {
            return condition_refuse(
                k->problem, constants->at, constants->end - constants->at,
                "%s is never '%.*s'; it is one of %s", k->c->facts[fact->fact].name,
                SPAN_ARGS(span_cut_text(value, 40)), values + (values[0] == '|'));
        }
    }
    return ERR_OK;
}

/* ---- comparing ---- */

static enum err refuse_pair(struct condition_compiler *k)
{
    const struct condition_operand *left = condition_top(k, 1), *right = condition_top(k, 0);
    bool is_quoted = (left->kind == KIND_TEXT && left->is_constant && is_number(right)) ||
                     (right->kind == KIND_TEXT && right->is_constant && is_number(left));
    return condition_refuse(k->problem, left->at, right->end - left->at,
                            "'%.*s' is %s and '%.*s' is %s: they cannot be compared%s",
                            SPAN_ARGS(shown(k, left)), condition_kind_name(left->kind),
                            SPAN_ARGS(shown(k, right)), condition_kind_name(right->kind),
                            is_quoted ? "; leave the quotes out" : "");
}

/* `fact == 'constant'`, which most conditions are, is one step. */
static bool is_fact_with_constant(const struct condition_compiler *k,
                                  const struct condition_operand *left,
                                  const struct condition_operand *right)
{
    const struct condition_draft *c = k->c;
    return left->fact >= 0 && right->is_constant && c->step_count >= 2 &&
           c->steps[c->step_count - 2].op == OP_FACT &&
           c->steps[c->step_count - 1].op == OP_CONSTANT;
}

static enum err compare_texts(struct condition_compiler *k, enum condition_compare how)
{
    const struct condition_operand *left = condition_top(k, 1), *right = condition_top(k, 0);
    enum err e = check_value(k, left, right);
    e = e == ERR_OK ? check_value(k, right, left) : e;
    if (e != ERR_OK) {
        return e;
    }
    if (how <= UNEQUAL && is_fact_with_constant(k, left, right)) {
        k->c->step_count -= 2;
        return condition_emit(k, (struct condition_step){OP_FACT_IS_TEXT, (uint8_t)how,
                                                         (uint16_t)left->fact, right->first});
    }
    return condition_emit(k, (struct condition_step){OP_COMPARE_TEXT, (uint8_t)how, 0, 0});
}

static enum err compare(struct condition_compiler *k, enum condition_compare how)
{
    const struct condition_operand *left = condition_top(k, 1), *right = condition_top(k, 0);
    size_t end = right->end;
    struct condition_operand whole = spanning(left, end, KIND_BOOL);
    enum err e;
    if (left->kind == KIND_TEXT && right->kind == KIND_TEXT) {
        e = compare_texts(k, how);
    } else if (left->kind == KIND_BOOL && right->kind == KIND_BOOL && how <= UNEQUAL) {
        e = condition_emit(k, (struct condition_step){OP_COMPARE_BOOL, (uint8_t)how, 0, 0});
    } else if (left->kind == KIND_INT && right->kind == KIND_INT &&
               is_fact_with_constant(k, left, right)) {
        k->c->step_count -= 2;
        e = condition_emit(k, (struct condition_step){OP_FACT_IS_INT, (uint8_t)how,
                                                      (uint16_t)left->fact, right->first});
    } else if (left->kind == KIND_INT && right->kind == KIND_INT) {
        e = condition_emit(k, (struct condition_step){OP_COMPARE_INT, (uint8_t)how, 0, 0});
    } else if (is_number(left) && is_number(right)) {
        uint16_t whole_numbers =
            (uint16_t)((left->kind == KIND_INT) | (right->kind == KIND_INT) << 1);
        e = condition_emit(
            k, (struct condition_step){OP_COMPARE_REAL, (uint8_t)how, whole_numbers, 0});
    } else {
        return refuse_pair(k);
    }
    if (e == ERR_OK) {
        condition_replace(k, 2, whole);
    }
    return e;
}

/* ---- in ---- */

static enum err look_in(struct condition_compiler *k)
{
    const struct condition_operand *left = condition_top(k, 1), *right = condition_top(k, 0);
    struct condition_operand whole = spanning(left, right->end, KIND_BOOL);
    struct condition_step step = {OP_IN_FACT, 0, right->first, right->count};
    enum condition_kind wanted = right->kind == KIND_LIST_OF_INTS ? KIND_INT : KIND_TEXT;
    switch (right->kind) {
    case KIND_LIST_OF_TEXTS:
        step.op = OP_IN_TEXTS;
        break;
    case KIND_LIST_OF_INTS:
        step.op = OP_IN_INTS;
        break;
    case KIND_MAP:
        step.op = OP_IN_MAP;
        step.a = (uint16_t)right->fact;
        break;
    case KIND_TEXTS:
        break;
    case KIND_TEXT:
        return refuse(k, right, "`in` looks into a list: use contains() to look into a text");
    case KIND_BOOL:
    case KIND_INT:
    case KIND_REAL:
        return refuse(k, right, "`in` wants a list or a map on its right");
    }
    if (left->kind != wanted) {
        return refuse(k, left,
                      wanted == KIND_INT ? "the list holds whole numbers" : "the list holds texts");
    }
    enum err e = right->kind == KIND_LIST_OF_TEXTS ? check_value(k, left, right) : ERR_OK;
    e = e == ERR_OK ? condition_emit(k, step) : e;
    if (e == ERR_OK) {
        condition_replace(k, 2, whole);
    }
    return e;
}

enum err condition_relate(struct condition_compiler *k, enum condition_word word)
{
    return word == WORD_IN ? look_in(k) : compare(k, (enum condition_compare)(word - WORD_EQUAL));
}

/* ---- calls ---- */

static enum err call_size(struct condition_compiler *k, size_t at)
{
    const struct condition_operand *o = condition_top(k, 0);
    if (o->kind != KIND_TEXT && o->kind != KIND_TEXTS) {
        return refuse(k, o, "size() is of a text, or of a fact that is a list");
    }
    uint8_t op = o->kind == KIND_TEXT ? OP_SIZE_TEXT : OP_SIZE_TEXTS;
    struct condition_operand whole = spanning(o, k->token.at + k->token.len, KIND_INT);
    whole.at = at < whole.at ? at : whole.at;
    enum err e = condition_emit(k, (struct condition_step){op, 0, 0, 0});
    if (e == ERR_OK) {
        condition_replace(k, 1, whole);
    }
    return e;
}

static enum err call_matches(struct condition_compiler *k, struct condition_step *step)
{
    const struct condition_operand *argument = condition_top(k, 0);
    if (!argument->is_constant) {
        return refuse(k, argument, "the pattern of matches() is written out, in quotes");
    }
    struct span text = k->c->constants[argument->first].text;
    enum err e = condition_add_pattern(k, text, argument, &step->a);
    if (e == ERR_OK) {
        condition_unemit_constant(k);
    }
    return e;
}

enum err condition_call(struct condition_compiler *k, const struct condition_pending *pending)
{
    static const enum condition_op ops[] = {[CALL_STARTS] = OP_STARTS,
                                            [CALL_ENDS] = OP_ENDS,
                                            [CALL_CONTAINS] = OP_CONTAINS,
                                            [CALL_MATCHES] = OP_MATCHES};
    if (pending->call == CALL_SIZE) {
        return call_size(k, pending->at);
    }
    const struct condition_operand *receiver = condition_top(k, 1), *argument = condition_top(k, 0);
    if (receiver->kind != KIND_TEXT) {
        return refuse(k, receiver,
                      receiver->kind == KIND_TEXTS ? "it is asked with `'x' in list`"
                                                   : "this is asked of a text");
    }
    if (argument->kind != KIND_TEXT) {
        return refuse(k, argument, "a text in quotes belongs here");
    }
    struct condition_operand whole = spanning(receiver, k->token.at + k->token.len, KIND_BOOL);
    struct condition_step step = {(uint8_t)ops[pending->call], 0, 0, 0};
    enum err e = pending->call == CALL_MATCHES ? call_matches(k, &step) : ERR_OK;
    e = e == ERR_OK ? condition_emit(k, step) : e;
    if (e == ERR_OK) {
        condition_replace(k, 2, whole);
    }
    return e;
}

enum err condition_member(struct condition_compiler *k, size_t end)
{
    const struct condition_operand *map = condition_top(k, 1), *key = condition_top(k, 0);
    if (key->kind != KIND_TEXT || !key->is_constant) {
        return refuse(k, key, "what stands in [ ] is a name in quotes");
    }
    struct condition_step step = {OP_MEMBER, 0, (uint16_t)map->fact, key->first};
    struct condition_operand whole = spanning(map, end, KIND_TEXT);
    condition_unemit_constant(k);
    enum err e = condition_emit(k, step);
    if (e == ERR_OK) {
        condition_replace(k, 2, whole);
    }
    return e;
}

enum err condition_want_bool(struct condition_compiler *k, const char *what)
{
    const struct condition_operand *o = condition_top(k, 0);
    if (o->kind == KIND_BOOL) {
        return ERR_OK;
    }
    char wanted[96];
    (void)snprintf(wanted, sizeof(wanted), "%s wants true or false: compare it with something",
                   what); /* cut, it says enough */
    return refuse(k, o, wanted);
}

enum err condition_prefix(struct condition_compiler *k, const struct condition_pending *pending)
{
    struct condition_operand *o = condition_top(k, 0);
    struct condition_step step = {OP_NOT, 0, 0, 0};
    if (pending->kind == PENDING_NOT) {
        enum err e = condition_want_bool(k, "`!`");
        if (e != ERR_OK) {
            return e;
        }
    } else if (is_number(o)) {
        step.op = o->kind == KIND_INT ? OP_NEGATE : OP_NEGATE_REAL;
    } else {
        return refuse(k, o, "`-` wants a number");
    }
    struct condition_operand whole = spanning(o, o->end, o->kind);
    whole.at = pending->at;
    enum err e = condition_emit(k, step);
    if (e == ERR_OK) {
        condition_replace(k, 1, whole);
    }
    return e;
}
