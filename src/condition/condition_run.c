/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program runs over a stack of values whose depth was counted as it was compiled. Nothing is
 * checked here that was checked there.
 */
#include "base/memory.h"
#include "condition/condition_internal.h"

#define HEAP_KIB 256 /* of a match */

struct condition_scratch {
    pcre2_general_context *general;
    pcre2_match_context *context;
    pcre2_match_data *data;
};

static void *take(size_t size, void *unused)
{
    (void)unused;
    return memory_raw(size);
}

static void give(void *at, void *unused)
{
    (void)unused;
    memory_free(at);
}

pcre2_general_context *condition_memory(void)
{
    return pcre2_general_context_create(take, give, NULL);
}

struct condition_scratch *condition_scratch_new(void)
{
    struct condition_scratch *s = memory_new(sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    s->general = condition_memory();
    if (s->general != NULL) {
        s->context = pcre2_match_context_create(s->general);
        s->data = pcre2_match_data_create(1, s->general);
    }
    if (s->context == NULL || s->data == NULL) {
        condition_scratch_free(&s);
        return NULL;
    }
    (void)pcre2_set_match_limit(s->context, CONDITION_MATCH_STEPS);
    (void)pcre2_set_depth_limit(s->context, CONDITION_MATCH_STEPS);
    (void)pcre2_set_heap_limit(s->context, HEAP_KIB);
    return s;
}

void condition_scratch_free(struct condition_scratch **scratch)
{
    struct condition_scratch *s = *scratch;
    *scratch = NULL;
    if (s != NULL) {
        pcre2_match_data_free(s->data);
        pcre2_match_context_free(s->context);
        pcre2_general_context_free(s->general);
        memory_free(s);
    }
}

/* What runs. */
struct machine {
    const struct condition *c;
    struct condition_facts *facts;
    struct condition_scratch *scratch;
    struct condition_value *top; /* the newest; facts->stack[0] is below all */
    bool has_failed;
};

/* ---- facts ---- */

static bool find_slowly(struct machine *m, unsigned fact)
{
    struct condition_facts *f = m->facts;
    uint64_t bit = UINT64_C(1) << fact;
    if ((f->missing & bit) == 0 && f->find(f->ctx, fact, &f->values[fact])) {
        f->known |= bit;
        return true;
    }
    f->missing |= bit;
    m->has_failed = true;
    return false;
}

static inline const struct condition_value *fact(struct machine *m, unsigned number)
{
    if (LIKELY((m->facts->known >> number & 1) != 0) || find_slowly(m, number)) {
        return &m->facts->values[number];
    }
    return NULL;
}

static void push(struct machine *m, const struct condition_value *value)
{
    if (value != NULL) {
        *++m->top = *value;
    }
}

static void push_member(struct machine *m, const struct condition_step *s)
{
    struct condition_facts *f = m->facts;
    struct condition_value value = {.text = SPAN("")};
    if (!f->find_member(f->ctx, s->a, m->c->constants[s->b].text, &value.text)) {
        value.text = SPAN("");
    }
    push(m, &value);
}

/* ---- comparing ---- */

/* Of an order below, at or above 0. */
static bool holds(enum condition_compare how, int order)
{
    switch (how) {
    case EQUAL:
        return order == 0;
    case UNEQUAL:
        return order != 0;
    case LESS:
        return order < 0;
    case AT_MOST:
        return order <= 0;
    case MORE:
        return order > 0;
    case AT_LEAST:
        return order >= 0;
    }
    NEVER("every comparison has its row");
}

static int order_texts(struct span a, struct span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.at, b.at, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static double real_of(const struct condition_value *v, bool is_whole)
{
    return is_whole ? (double)v->number : v->real;
}

static void compare(struct machine *m, const struct condition_step *s)
{
    const struct condition_value *a = m->top - 1, *b = m->top;
    int order;
    if (s->op == OP_COMPARE_TEXT) {
        order = order_texts(a->text, b->text);
    } else if (s->op == OP_COMPARE_INT) {
        order = (a->number > b->number) - (a->number < b->number);
    } else if (s->op == OP_COMPARE_REAL) {
        double x = real_of(a, (s->a & 1) != 0), y = real_of(b, (s->a & 2) != 0);
        order = (x > y) - (x < y);
    } else {
        order = a->truth - b->truth;
    }
    m->top--;
    m->top->truth = holds((enum condition_compare)s->how, order);
}

static void compare_fact(struct machine *m, const struct condition_step *s)
{
    const struct condition_value *value = fact(m, s->a);
    if (value != NULL) {
        bool is_equal = span_equal(value->text, m->c->constants[s->b].text);
        (++m->top)->truth = is_equal == (s->how == EQUAL);
    }
}

/* ---- texts and lists ---- */

static bool contains(struct span text, struct span part)
{
    return part.len == 0 || (text.len >= part.len && memmem(text.at, text.len, part.at, part.len));
}

static int64_t count_characters(struct span text)
{
    int64_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        count += (text.at[i] & 0xC0) != 0x80;
    }
    return count;
}

static void match(struct machine *m, const struct condition_step *s)
{
    struct span text = m->top->text;
    int found = PCRE2_ERROR_NOMEMORY;
    if (m->scratch != NULL) {
        found = pcre2_match(m->c->patterns[s->a], text.at == NULL ? (PCRE2_SPTR) "" : text.at,
                            text.len, 0, 0, m->scratch->data, m->scratch->context);
    }
    m->has_failed = m->has_failed || (found < 0 && found != PCRE2_ERROR_NOMATCH);
    m->top->truth = found >= 0;
}

static bool is_in_constants(const struct machine *m, const struct condition_step *s)
{
    const struct condition_value *constants = &m->c->constants[s->a];
    for (size_t i = 0; i < s->b; i++) {
        if (s->op == OP_IN_TEXTS ? span_equal(constants[i].text, m->top->text)
                                 : constants[i].number == m->top->number) {
            return true;
        }
    }
    return false;
}

static void look_in_fact(struct machine *m)
{
    struct condition_value list = *m->top--;
    bool is_in = false;
    for (size_t i = 0; !is_in && i < list.texts.count; i++) {
        is_in = span_equal(list.texts.at[i], m->top->text);
    }
    m->top->truth = is_in;
}

static void look_in_map(struct machine *m, const struct condition_step *s)
{
    struct span unused;
    m->top->truth = m->facts->find_member(m->facts->ctx, s->a, m->top->text, &unused);
}

static void look_at_texts(struct machine *m, const struct condition_step *s)
{
    struct span part = (m->top--)->text;
    struct span text = m->top->text;
    m->top->truth = s->op == OP_STARTS ? span_starts(text, part)
                    : s->op == OP_ENDS ? span_ends(text, part)
                                       : contains(text, part);
}

/* What changes the newest value alone. */
static void change(struct machine *m, const struct condition_step *s)
{
    struct condition_value *v = m->top;
    switch ((unsigned)s->op) {
    case OP_NOT:
        v->truth = !v->truth;
        break;
    case OP_NEGATE:
        v->number = (int64_t) - (uint64_t)v->number;
        break;
    case OP_NEGATE_REAL:
        v->real = -v->real;
        break;
    case OP_IN_TEXTS:
    case OP_IN_INTS:
        v->truth = is_in_constants(m, s);
        break;
    case OP_SIZE_TEXT:
        v->number = count_characters(v->text);
        break;
    case OP_SIZE_TEXTS:
        v->number = (int64_t)v->texts.count;
        break;
    default:
        NEVER("all steps are known");
    }
}

/* ---- the whole ---- */

/* The step that follows a jump. */
static size_t jump(struct machine *m, const struct condition_step *s, size_t next)
{
    bool truth = m->top->truth;
    switch ((unsigned)s->op) {
    case OP_JUMP:
        return s->a;
    case OP_JUMP_UNLESS:
        m->top--;
        return truth ? next : s->a;
    default: /* of `&&` and `||` the left side may be all */
        if (truth == (s->op == OP_OR)) {
            return s->a;
        }
        m->top--;
        return next;
    }
}

static void step(struct machine *m, const struct condition_step *s)
{
    switch ((unsigned)s->op) {
    case OP_FACT_IS_TEXT:
        compare_fact(m, s);
        break;
    case OP_CONSTANT:
        push(m, &m->c->constants[s->a]);
        break;
    case OP_FACT:
        push(m, fact(m, s->a));
        break;
    case OP_MEMBER:
        push_member(m, s);
        break;
    case OP_COMPARE_BOOL:
    case OP_COMPARE_INT:
    case OP_COMPARE_REAL:
    case OP_COMPARE_TEXT:
        compare(m, s);
        break;
    case OP_STARTS:
    case OP_ENDS:
    case OP_CONTAINS:
        look_at_texts(m, s);
        break;
    case OP_MATCHES:
        match(m, s);
        break;
    case OP_IN_FACT:
        look_in_fact(m);
        break;
    case OP_IN_MAP:
        look_in_map(m, s);
        break;
    default:
        change(m, s);
    }
}

enum condition_outcome condition_decide(const struct condition *c, struct condition_facts *facts,
                                        struct condition_scratch *scratch)
{
    struct machine m;
    m.c = c;
    m.facts = facts;
    m.scratch = scratch;
    m.top = facts->stack;
    m.has_failed = false;
    for (size_t next = 0; next < c->step_count && !m.has_failed;) {
        const struct condition_step *s = &c->steps[next++];
        if (s->op >= OP_JUMP) {
            next = jump(&m, s, next);
        } else {
            step(&m, s);
        }
    }
    if (m.has_failed) {
        return CONDITION_FAILED;
    }
    CHECK(m.top == facts->stack + 1);
    return m.top->truth ? CONDITION_YES : CONDITION_NO;
}
