/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program runs over a stack of values whose depth was counted as it was compiled. Nothing is
 * checked here that was checked there.
 */
#include "base/memory.h"
#include "condition/condition_internal.h"

#define HEAP_KIB 256 /* of a match */

_Static_assert(CONDITION_DEPTH_MAX < 64, "a bit each");

struct condition_scratch {
    pcre2_general_context *general;
    pcre2_match_context *context;
    pcre2_match_data *data;
    int64_t *steps; /* that a call has taken */
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

/* Each item of a pattern that is tried, at each place of the text, is a step. */
static int count_step(pcre2_callout_block *unused, void *ctx)
{
    struct condition_scratch *s = ctx;
    (void)unused;
    return ++*s->steps > CONDITION_MATCH_STEPS ? PCRE2_ERROR_CALLOUT : 0;
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
    /* These four can only say that it was done. */
    (void)pcre2_set_match_limit(s->context, CONDITION_MATCH_STEPS);
    (void)pcre2_set_callout(s->context, count_step, s);
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
};

/* ---- what could not be found ---- */

static inline uint64_t bit_of(const struct machine *m, const struct condition_value *at)
{
    return UINT64_C(1) << ((size_t)(at - m->facts->stack) & 63);
}

/* The newest value is none. */
static void fail(struct machine *m)
{
    m->facts->failed |= bit_of(m, m->top);
}

static inline struct condition_value *next(struct machine *m)
{
    m->top++;
    m->facts->failed &= ~bit_of(m, m->top);
    return m->top;
}

/* ---- facts ---- */

static bool find_slowly(struct condition_facts *f, unsigned fact)
{
    uint64_t bit = UINT64_C(1) << fact;
    if ((f->missing & bit) == 0 && f->find(f->ctx, fact, &f->values[fact])) {
        f->known |= bit;
        return true;
    }
    f->missing |= bit;
    return false;
}

const struct condition_value *condition_fact(struct condition_facts *f, unsigned fact)
{
    return (f->known >> fact & 1) != 0 || find_slowly(f, fact) ? &f->values[fact] : NULL;
}

/* NULL: it cannot be found, and the newest value, which was to be made of it, is none. */
static inline const struct condition_value *fact(struct machine *m, unsigned number)
{
    if (LIKELY((m->facts->known >> number & 1) != 0) || find_slowly(m->facts, number)) {
        return &m->facts->values[number];
    }
    fail(m);
    return NULL;
}

static void push_fact(struct machine *m, const struct condition_step *s)
{
    struct condition_value *to = next(m);
    const struct condition_value *value = fact(m, s->a);
    if (value != NULL) {
        *to = *value;
    }
}

/* Whether nobody knows what the map holds. */
static inline bool is_map_missing(const struct machine *m, unsigned number)
{
    return (m->facts->missing >> number & 1) != 0;
}

static void push_member(struct machine *m, const struct condition_step *s)
{
    struct condition_facts *f = m->facts;
    struct condition_value *to = next(m);
    if (is_map_missing(m, s->a)) {
        fail(m);
    } else if (!f->find_member(f->ctx, s->a, m->c->constants[s->b].text, &to->text)) {
        to->text = SPAN("");
    }
}

/* ---- comparing ---- */

bool condition_holds(enum condition_compare how, int order)
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
    m->top->truth = condition_holds((enum condition_compare)s->how, order);
}

static void compare_fact(struct machine *m, const struct condition_step *s)
{
    struct condition_value *to = next(m);
    const struct condition_value *value = fact(m, s->a), *with = &m->c->constants[s->b];
    if (value != NULL && s->op == OP_FACT_IS_TEXT) {
        to->truth = span_equal(value->text, with->text) == (s->how == EQUAL);
    } else if (value != NULL) {
        int64_t a = value->number, b = with->number;
        to->truth = condition_holds((enum condition_compare)s->how, (a > b) - (a < b));
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
    if (m->scratch != NULL && text.len <= CONDITION_SUBJECT_MAX) {
        m->scratch->steps = &m->facts->match_steps;
        found = pcre2_match(m->c->patterns[s->a], text.at == NULL ? (PCRE2_SPTR) "" : text.at,
                            text.len, 0, 0, m->scratch->data, m->scratch->context);
    }
    m->top->truth = found >= 0;
    if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
        fail(m);
    }
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
    if (is_map_missing(m, s->a)) {
        fail(m);
        return;
    }
    m->top->truth = m->facts->find_member(m->facts->ctx, s->a, m->top->text, &unused);
}

static void look_at_texts(struct machine *m, const struct condition_step *s)
{
    struct span part = (m->top--)->text;
    struct span text = m->top->text;
    if (s->op == OP_CONTAINS && text.len > CONDITION_SUBJECT_MAX) {
        fail(m);
        return;
    }
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

/* Of two truths, either of which may be none, one. */
static void join(struct machine *m, const struct condition_step *s)
{
    bool is_and = s->op == OP_AND_END;
    bool right_failed = (m->facts->failed & bit_of(m, m->top)) != 0;
    bool right = !right_failed && m->top->truth;
    m->top--;
    if (!right_failed && right != is_and) { /* it decides, whatever the left is */
        m->facts->failed &= ~bit_of(m, m->top);
        m->top->truth = right;
    } else if (right_failed) {
        fail(m);
    }
}

/* The step that follows a jump. */
static size_t jump(struct machine *m, const struct condition_step *s, size_t next_step)
{
    bool has_failed = (m->facts->failed & bit_of(m, m->top)) != 0;
    switch ((unsigned)s->op) {
    case OP_JUMP:
        return s->a;
    case OP_JUMP_UNLESS:
        if (has_failed) { /* so does what was to be chosen, which lies in its place */
            return s->b;
        }
        m->top--;
        return m->top[1].truth ? next_step : s->a;
    default: /* of `&&` and `||` the left side may be all */
        return !has_failed && m->top->truth == (s->op == OP_OR) ? s->a : next_step;
    }
}

/* How many values a step takes off. */
static unsigned operands_of(const struct condition_step *s)
{
    switch ((unsigned)s->op) {
    case OP_CONSTANT:
    case OP_FACT:
    case OP_MEMBER:
    case OP_FACT_IS_TEXT:
    case OP_FACT_IS_INT:
        return 0;
    case OP_COMPARE_BOOL:
    case OP_COMPARE_INT:
    case OP_COMPARE_REAL:
    case OP_COMPARE_TEXT:
    case OP_IN_FACT:
    case OP_STARTS:
    case OP_ENDS:
    case OP_CONTAINS:
        return 2;
    default:
        return 1;
    }
}

/* What is made of something that is none is none. */
static bool is_of_none(struct machine *m, const struct condition_step *s)
{
    unsigned count = operands_of(s);
    bool is_none = false;
    for (unsigned i = 0; i < count; i++) {
        is_none = is_none || (m->facts->failed & bit_of(m, m->top - i)) != 0;
    }
    if (is_none) {
        m->top -= count - 1;
        fail(m);
    }
    return is_none;
}

static void step(struct machine *m, const struct condition_step *s)
{
    switch ((unsigned)s->op) {
    case OP_FACT_IS_TEXT:
    case OP_FACT_IS_INT:
        compare_fact(m, s);
        break;
    case OP_CONSTANT:
        *next(m) = m->c->constants[s->a];
        break;
    case OP_FACT:
        push_fact(m, s);
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

static void run(struct machine *m)
{
    const struct condition *c = m->c;
    for (size_t at = 0; at < c->step_count;) {
        const struct condition_step *s = &c->steps[at++];
        if (s->op >= OP_JUMP) {
            at = jump(m, s, at);
        } else if (s->op >= OP_AND_END) {
            join(m, s);
        } else if (m->facts->failed == 0 || !is_of_none(m, s)) {
            step(m, s);
        }
    }
}

enum condition_outcome condition_decide(const struct condition *c, struct condition_facts *facts,
                                        struct condition_scratch *scratch)
{
    struct machine m = {.c = c, .facts = facts, .scratch = scratch, .top = facts->stack};
    facts->failed = 0;
    run(&m);
    CHECK(m.top == facts->stack + 1);
    if (facts->failed != 0 && (facts->failed & bit_of(&m, m.top)) != 0) {
        return CONDITION_FAILED;
    }
    return m.top->truth ? CONDITION_YES : CONDITION_NO;
}
