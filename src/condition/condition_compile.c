/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operator precedence, without recursion: what is read whole lies on one stack, what waits for its
 * right side on another.
 *
 *   a && b < 3 ? c : d      operands: a │ b 3 → (b < 3) → …      pending: && │ < │ ? │ :
 *
 * `&&`, `||` and `? :` jump over what is not asked: their step is emitted when their sign is read,
 * and told its target when their right side is whole.
 */
#include "base/memory.h"
#include "condition/condition_compile_internal.h"
#include "text/text_near.h"

#define ARENA_BYTES_MAX (1u << 20)

_Static_assert(CONDITION_FACTS_MAX <= 64, "a bit each");

/* How strongly each binds; 0: it holds back what stands before it. */
static const uint8_t strengths[] = {
    [PENDING_GROUP] = 0, [PENDING_CALL] = 0,   [PENDING_INDEX] = 0, [PENDING_THEN] = 0,
    [PENDING_ELSE] = 1,  [PENDING_OR] = 2,     [PENDING_AND] = 3,   [PENDING_RELATION] = 4,
    [PENDING_NOT] = 5,   [PENDING_NEGATE] = 5,
};

static enum err push_pending(struct condition_compiler *k, struct condition_pending pending)
{
    if (k->pending_count == CONDITION_PENDING_MAX) {
        return condition_refuse_here(k, "the condition is nested too deeply");
    }
    pending.at = k->token.at;
    k->pendings[k->pending_count++] = pending;
    return condition_next(k);
}

static struct condition_pending *top_pending(struct condition_compiler *k)
{
    return k->pending_count == 0 ? NULL : &k->pendings[k->pending_count - 1];
}

/* ---- what waited, and is whole ---- */

static enum err finish_choice(struct condition_compiler *k, const struct condition_pending *p)
{
    const struct condition_operand *yes = condition_top(k, 1), *no = condition_top(k, 0);
    if (yes->kind != no->kind || yes->kind >= KIND_MAP) {
        return condition_refuse(k->problem, yes->at, no->end - yes->at,
                                "one side of the `:` is %s, the other %s: both have to be alike",
                                condition_kind_name(yes->kind), condition_kind_name(no->kind));
    }
    struct condition_operand whole = {
        .kind = no->kind, .at = yes->at, .end = no->end, .fact = CONDITION_NO_FACT};
    k->c->steps[p->jump].a = k->c->steps[p->then].b = (uint16_t)k->c->step_count;
    condition_replace(k, 2, whole); /* of the two, one is there while it runs */
    return ERR_OK;
}

static enum err finish_logic(struct condition_compiler *k, const struct condition_pending *p)
{
    bool is_and = p->kind == PENDING_AND;
    enum err e = condition_want_bool(k, is_and ? "`&&`" : "`||`");
    if (e != ERR_OK) {
        return e;
    }
    struct condition_operand whole = {.kind = KIND_BOOL,
                                      .at = condition_top(k, 1)->at,
                                      .end = condition_top(k, 0)->end,
                                      .fact = CONDITION_NO_FACT};
    uint8_t op = is_and ? OP_AND_END : OP_OR_END;
    e = condition_emit(k, (struct condition_step){op, 0, 0, 0});
    if (e == ERR_OK) {
        k->c->steps[p->jump].a = (uint16_t)k->c->step_count;
        condition_replace(k, 2, whole);
    }
    return e;
}

static enum err finish(struct condition_compiler *k)
{
    struct condition_pending p = k->pendings[--k->pending_count];
    switch (p.kind) {
    case PENDING_ELSE:
        return finish_choice(k, &p);
    case PENDING_OR:
    case PENDING_AND:
        return finish_logic(k, &p);
    case PENDING_RELATION:
        return condition_relate(k, p.word);
    case PENDING_NOT:
    case PENDING_NEGATE:
        return condition_prefix(k, &p);
    case PENDING_GROUP:
    case PENDING_CALL:
    case PENDING_INDEX:
    case PENDING_THEN:
        break;
    }
    NEVER("what holds back is not finished so");
}

/* Finishes what binds at least so strongly. */
static enum err finish_stronger(struct condition_compiler *k, uint8_t strength)
{
    enum err e = ERR_OK;
    while (e == ERR_OK && k->pending_count > 0 && strengths[top_pending(k)->kind] >= strength) {
        e = finish(k);
    }
    return e;
}

/* ---- where a value is wanted ---- */

/* A name, which is a fact or the function size(). */
static enum err push_name(struct condition_compiler *k, bool *wants_value)
{
    struct condition_token name = k->token;
    size_t behind = k->at;
    enum err e = condition_next(k);
    if (e == ERR_OK && k->token.word == WORD_OPEN) {
        k->token.at = name.at;
        *wants_value = true;
        return span_is(name.value, "size")
                   ? push_pending(
                         k, (struct condition_pending){.kind = PENDING_CALL, .call = CALL_SIZE})
                   : condition_refuse(k->problem, name.at, name.len,
                                      "there is no function '%.*s'; there is size(), and of a text "
                                      "startsWith(), endsWith(), contains(), matches()",
                                      SPAN_ARGS(span_cut_text(name.value, 40)));
    }
    k->token = name;
    k->at = behind;
    return e == ERR_OK ? condition_push_fact(k) : e;
}

static enum err read_value(struct condition_compiler *k, bool *wants_value)
{
    *wants_value = false;
    switch ((unsigned)k->token.word) {
    case WORD_TEXT:
        return condition_push_constant(k, KIND_TEXT,
                                       (struct condition_value){.text = k->token.value});
    case WORD_INT:
    case WORD_REAL:
        return condition_push_number(k);
    case WORD_TRUE:
    case WORD_FALSE:
        return condition_push_constant(
            k, KIND_BOOL, (struct condition_value){.truth = k->token.word == WORD_TRUE});
    case WORD_LIST:
        return condition_push_list(k);
    case WORD_NAME:
        return push_name(k, wants_value);
    default:
        break;
    }
    *wants_value = true;
    switch ((unsigned)k->token.word) {
    case WORD_NOT:
        return push_pending(k, (struct condition_pending){.kind = PENDING_NOT});
    case WORD_MINUS:
        return push_pending(k, (struct condition_pending){.kind = PENDING_NEGATE});
    case WORD_OPEN:
        return push_pending(k, (struct condition_pending){.kind = PENDING_GROUP});
    default:
        return condition_refuse_here(k, k->token.word == WORD_END ? "a value is missing at the end"
                                                                  : "a value is missing here");
    }
}

/* ---- behind a value ---- */

/* A step is emitted whose target is told later; the pending kind remembers which. */
static enum err push_jump(struct condition_compiler *k, enum condition_op op,
                          struct condition_pending pending)
{
    pending.jump = (uint16_t)k->c->step_count;
    enum err e = condition_emit(k, (struct condition_step){(uint8_t)op, 0, 0, 0});
    return e == ERR_OK ? push_pending(k, pending) : e;
}

static enum err read_logic(struct condition_compiler *k)
{
    bool is_and = k->token.word == WORD_AND;
    enum condition_pending_kind kind = is_and ? PENDING_AND : PENDING_OR;
    enum err e = finish_stronger(k, strengths[kind]);
    e = e == ERR_OK ? condition_want_bool(k, is_and ? "`&&`" : "`||`") : e;
    if (e != ERR_OK) {
        return e;
    }
    return push_jump(k, is_and ? OP_AND : OP_OR, (struct condition_pending){.kind = kind});
}

static enum err read_relation(struct condition_compiler *k)
{
    enum condition_word word = k->token.word;
    enum err e = finish_stronger(k, strengths[PENDING_RELATION]);
    return e == ERR_OK
               ? push_pending(k, (struct condition_pending){.kind = PENDING_RELATION, .word = word})
               : e;
}

static enum err read_if(struct condition_compiler *k)
{
    enum err e = finish_stronger(k, strengths[PENDING_OR]);
    e = e == ERR_OK ? condition_want_bool(k, "`?`") : e;
    if (e != ERR_OK) {
        return e;
    }
    k->operand_count--; /* while it runs, what jumps takes it off */
    return push_jump(k, OP_JUMP_UNLESS, (struct condition_pending){.kind = PENDING_THEN});
}

static enum err read_else(struct condition_compiler *k)
{
    enum err e = finish_stronger(k, strengths[PENDING_ELSE]);
    struct condition_pending *p = top_pending(k);
    if (e == ERR_OK && (p == NULL || p->kind != PENDING_THEN)) {
        return condition_refuse_here(k, "there is no `?` that this `:` belongs to");
    }
    if (e != ERR_OK) {
        return e;
    }
    struct condition_pending then = *p;
    k->pending_count--;
    e = push_jump(k, OP_JUMP, (struct condition_pending){.kind = PENDING_ELSE, .then = then.jump});
    k->c->steps[then.jump].a = (uint16_t)k->c->step_count;
    return e;
}

static enum err read_call_of(struct condition_compiler *k, const struct condition_token *where,
                             bool *wants_value)
{
    struct span name = where->value;
    static const struct {
        const char *name;
        enum condition_call call;
    } rows[] = {{"startsWith", CALL_STARTS},
                {"endsWith", CALL_ENDS},
                {"contains", CALL_CONTAINS},
                {"matches", CALL_MATCHES},
                {"size", CALL_SIZE}};
    const char *names[sizeof(rows) / sizeof(rows[0])];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        names[i] = rows[i].name;
        if (span_is(name, rows[i].name)) {
            enum err e = push_pending(
                k, (struct condition_pending){.kind = PENDING_CALL, .call = rows[i].call});
            *wants_value = rows[i].call != CALL_SIZE;
            return e == ERR_OK && !*wants_value && k->token.word != WORD_CLOSE
                       ? condition_refuse_here(k,
                                               "size() of what stands before the dot takes nothing")
                       : e;
        }
    }
    const char *meant = text_nearest(name, names, sizeof(rows) / sizeof(rows[0]));
    return condition_refuse(k->problem, where->at, where->len, "there is no function '%.*s'%s%s%s",
                            SPAN_ARGS(span_cut_text(name, 40)),
                            meant == NULL ? "" : " — did you mean '", meant == NULL ? "" : meant,
                            meant == NULL ? "; there are startsWith(), endsWith(), contains(), "
                                            "matches() and size()"
                                          : "()'?");
}

static enum err refuse_not_a_map(struct condition_compiler *k)
{
    const struct condition_operand *o = condition_top(k, 0);
    return condition_refuse(k->problem, o->at, o->end - o->at, "this is %s, and has no members",
                            condition_kind_name(o->kind));
}

/* Behind a dot: a call, or a member's name. */
static enum err read_dot(struct condition_compiler *k, bool *wants_value)
{
    enum err e = condition_next(k);
    struct condition_token name = k->token;
    if (e == ERR_OK && name.word != WORD_NAME) {
        return condition_refuse_here(k, "a name is missing behind the dot");
    }
    e = e == ERR_OK ? condition_next(k) : e;
    if (e != ERR_OK) {
        return e;
    }
    if (k->token.word == WORD_OPEN) {
        return read_call_of(k, &name, wants_value);
    }
    if (condition_top(k, 0)->kind != KIND_MAP) {
        return refuse_not_a_map(k);
    }
    struct condition_operand key = {.kind = KIND_TEXT,
                                    .at = name.at,
                                    .end = name.at + name.len,
                                    .fact = CONDITION_NO_FACT,
                                    .is_constant = true};
    e = condition_add_constant(k, (struct condition_value){.text = name.value}, true, &key.first);
    e = e == ERR_OK ? condition_emit(k, (struct condition_step){OP_CONSTANT, 0, key.first, 0}) : e;
    e = e == ERR_OK ? condition_push(k, key) : e;
    return e == ERR_OK ? condition_member(k, key.end) : e;
}

static enum err read_index(struct condition_compiler *k, bool *wants_value)
{
    if (condition_top(k, 0)->kind != KIND_MAP) {
        return refuse_not_a_map(k);
    }
    *wants_value = true;
    return push_pending(k, (struct condition_pending){.kind = PENDING_INDEX});
}

/* What was opened has its end. */
static enum err read_close(struct condition_compiler *k)
{
    bool is_index = k->token.word == WORD_UNLIST;
    enum err e = finish_stronger(k, 1);
    const struct condition_pending *p = top_pending(k);
    if (e != ERR_OK) {
        return e;
    }
    if (p != NULL && p->kind == PENDING_THEN) {
        return condition_refuse(k->problem, p->at, 1, "the `?` has no `:`");
    }
    if (p == NULL || (p->kind == PENDING_INDEX) != is_index) {
        return condition_refuse_here(k, is_index ? "there is no `[` that this `]` belongs to"
                                                 : "there is no `(` that this `)` belongs to");
    }
    struct condition_pending closed = *p;
    k->pending_count--;
    if (closed.kind == PENDING_CALL) {
        e = condition_call(k, &closed);
    } else if (closed.kind == PENDING_INDEX) {
        e = condition_member(k, k->token.at + 1);
    } else {
        condition_top(k, 0)->at = closed.at;
        condition_top(k, 0)->end = k->token.at + 1;
    }
    return e == ERR_OK ? condition_next(k) : e;
}

static enum err read_end(struct condition_compiler *k)
{
    enum err e = finish_stronger(k, 1);
    const struct condition_pending *p = top_pending(k);
    if (e == ERR_OK && p != NULL) {
        static const char *const missing[] = {[PENDING_GROUP] = "the `(` has no `)`",
                                              [PENDING_CALL] = "the `(` has no `)`",
                                              [PENDING_INDEX] = "the `[` has no `]`",
                                              [PENDING_THEN] = "the `?` has no `:`"};
        return condition_refuse(k->problem, p->at, 1, "%s", missing[p->kind]);
    }
    return e == ERR_OK ? condition_want_bool(k, "a condition") : e;
}

static enum err read_operator(struct condition_compiler *k, bool *wants_value)
{
    *wants_value = false;
    switch ((unsigned)k->token.word) {
    case WORD_DOT:
        return read_dot(k, wants_value);
    case WORD_LIST:
        return read_index(k, wants_value);
    case WORD_CLOSE:
    case WORD_UNLIST:
        return read_close(k);
    default:
        break;
    }
    *wants_value = true;
    switch ((unsigned)k->token.word) {
    case WORD_AND:
    case WORD_OR:
        return read_logic(k);
    case WORD_IF:
        return read_if(k);
    case WORD_ELSE:
        return read_else(k);
    case WORD_MINUS:
        return condition_refuse_here(
            k, "there is no subtraction; a name with a - in it stands in brackets: "
               "headers['x-a']");
    case WORD_NOT:
    case WORD_OPEN:
    case WORD_COMMA:
        return condition_refuse_here(k, "this cannot stand here; an operator is missing before it");
    default:
        return k->token.word >= WORD_IN
                   ? read_relation(k)
                   : condition_refuse_here(k, "an operator is missing before this: &&, ||, == …");
    }
}

static enum err compile(struct condition_compiler *k)
{
    bool wants_value = true;
    enum err e = condition_next(k);
    if (e == ERR_OK && k->token.word == WORD_END) {
        return condition_refuse_here(k, "the condition is empty; `true` holds always");
    }
    while (e == ERR_OK) {
        if (wants_value) {
            e = read_value(k, &wants_value);
        } else if (k->token.word == WORD_END) {
            return read_end(k);
        } else {
            e = read_operator(k, &wants_value);
        }
    }
    return e;
}

/* ---- the whole ---- */

static size_t bytes_of_texts(const struct condition_draft *d)
{
    size_t bytes = d->text.len;
    for (size_t i = 0; i < d->constant_count; i++) {
        bytes += d->is_text[i] ? d->constants[i].text.len : 0;
    }
    return bytes;
}

/* Copies a text to `*to`, which is then behind it. */
static struct span put_text(uint8_t **to, struct span text)
{
    struct span kept = span_make(*to, text.len);
    if (text.len > 0) {
        memcpy(*to, text.at, text.len);
    }
    *to += text.len;
    return kept;
}

/* Puts all that runs into one block. NULL without memory. */
static struct condition *settle(const struct condition_draft *d)
{
    size_t constants = d->constant_count * sizeof(struct condition_value);
    size_t patterns = d->pattern_count * sizeof(pcre2_code *);
    size_t steps = d->step_count * sizeof(struct condition_step);
    struct condition *c = memory_raw(sizeof(*c) + constants + patterns + steps + bytes_of_texts(d));
    if (c == NULL) {
        return NULL;
    }
    c->constants = (struct condition_value *)(void *)c->room;
    c->patterns = (pcre2_code **)(void *)(c->room + constants);
    c->steps = (struct condition_step *)(void *)(c->room + constants + patterns);
    c->constant_count = (uint16_t)d->constant_count;
    c->pattern_count = (uint16_t)d->pattern_count;
    c->step_count = (uint16_t)d->step_count;
    c->uses = d->uses;
    memcpy(c->constants, d->constants, constants);
    memcpy(c->patterns, d->patterns, patterns);
    memcpy(c->steps, d->steps, steps);
    uint8_t *to = c->room + constants + patterns + steps;
    for (size_t i = 0; i < d->constant_count; i++) {
        if (d->is_text[i]) {
            c->constants[i].text = put_text(&to, d->constants[i].text);
        }
    }
    c->text = put_text(&to, d->text);
    return c;
}

static void free_patterns(pcre2_code **patterns, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pcre2_code_free(patterns[i]);
    }
}

enum err condition_compile(struct span text, const struct condition_fact *facts, size_t count,
                           struct condition_problem *problem, struct condition **out)
{
    CHECK(count <= CONDITION_FACTS_MAX);
    if (text.len > CONDITION_BYTES_MAX) {
        return condition_refuse(problem, 0, text.len, "a condition has %d bytes at most",
                                CONDITION_BYTES_MAX);
    }
    struct condition_compiler *k = memory_new(sizeof(*k));
    if (k == NULL) {
        return ERR_NO_MEMORY;
    }
    arena_init(&k->arena, ARENA_BYTES_MAX);
    k->c = &k->draft;
    k->problem = problem;
    k->draft.text = text;
    k->draft.facts = facts;
    k->draft.fact_count = count;
    enum err e = compile(k);
    struct condition *c = e == ERR_OK ? settle(&k->draft) : NULL;
    if (c == NULL) {
        free_patterns(k->draft.patterns, k->draft.pattern_count);
        e = e == ERR_OK ? ERR_NO_MEMORY : e;
    } else {
        *out = c;
    }
    arena_fini(&k->arena);
    memory_free(k);
    return e;
}

void condition_free(struct condition **condition)
{
    struct condition *c = *condition;
    *condition = NULL;
    if (c != NULL) {
        free_patterns(c->patterns, c->pattern_count);
        memory_free(c);
    }
}

struct span condition_text(const struct condition *c)
{
    return c->text;
}

uint64_t condition_uses(const struct condition *c)
{
    return c->uses;
}
