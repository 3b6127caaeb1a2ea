/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sides a condition's outermost `&&` have, read back from its program. That of `x && y` is
 *
 *   x   OP_AND to end   y   OP_AND_END   end:
 *
 * so that a stretch of steps that ends with OP_AND_END is cut by the one OP_AND that jumps behind
 * it, for no other jump of its kind goes there. Where the then of a choice jumps behind it, too,
 * the `&&` is that of its else alone.
 */
#include "condition/condition_internal.h"

struct stretch {
    size_t from, end;
};

/* Where the `&&` of a stretch that is one is; the stretch's end: it is none. */
static size_t middle_of(const struct condition *c, struct stretch s)
{
    size_t at = s.from;
    if (s.end == s.from || c->steps[s.end - 1].op != OP_AND_END) {
        return s.end;
    }
    while (c->steps[at].op != OP_AND || c->steps[at].a != s.end) {
        if (c->steps[at].op == OP_JUMP && c->steps[at].a == s.end) {
            return s.end;
        }
        at++;
    }
    return at;
}

static struct condition_term texts_of(const struct condition *c, const struct condition_step *of,
                                      size_t first, size_t count)
{
    bool is_member = of->op == OP_MEMBER;
    return (struct condition_term){.kind = is_member ? CONDITION_TERM_MEMBER : CONDITION_TERM_TEXT,
                                   .fact = of->a,
                                   .key = is_member ? c->constants[of->b].text : SPAN(""),
                                   .values = &c->constants[first],
                                   .count = count};
}

static struct condition_term term_of_one(const struct condition *c, const struct condition_step *s)
{
    switch ((unsigned)s->op) {
    case OP_FACT:
        return (struct condition_term){.kind = CONDITION_TERM_BOOL, .fact = s->a, .truth = true};
    case OP_FACT_IS_INT:
        return (struct condition_term){.kind = CONDITION_TERM_INT,
                                       .fact = s->a,
                                       .how = s->how,
                                       .values = &c->constants[s->b],
                                       .count = 1};
    case OP_FACT_IS_TEXT:
        if (s->how == EQUAL) {
            return texts_of(c, &(struct condition_step){OP_FACT, 0, s->a, 0}, s->b, 1);
        }
        break;
    }
    return (struct condition_term){.kind = CONDITION_TERM_OTHER};
}

static struct condition_term term_of(const struct condition *c, struct stretch where)
{
    const struct condition_step *s = &c->steps[where.from];
    size_t count = where.end - where.from;
    bool is_text = s->op == OP_FACT || s->op == OP_MEMBER;
    if (count == 1) {
        return term_of_one(c, s);
    }
    if (count == 2 && s->op == OP_FACT && s[1].op == OP_NOT) {
        return (struct condition_term){.kind = CONDITION_TERM_BOOL, .fact = s->a};
    }
    if (count == 2 && is_text && s[1].op == OP_IN_TEXTS) {
        return texts_of(c, s, s[1].a, s[1].b);
    }
    if (count == 3 && is_text && s[1].op == OP_CONSTANT && s[2].op == OP_COMPARE_TEXT &&
        s[2].how == EQUAL) {
        return texts_of(c, s, s[1].a, 1);
    }
    return (struct condition_term){.kind = CONDITION_TERM_OTHER};
}

size_t condition_terms(const struct condition *c, struct condition_term *out)
{
    /* What is not looked at yet, the last side on top. To the right, operands nest no deeper than
     * they may while the condition runs. */
    struct stretch rest[CONDITION_DEPTH_MAX + 1] = {{0, c->step_count}};
    size_t rest_count = 1, at = CONDITION_TERMS_MAX;
    while (rest_count > 0) {
        struct stretch s = rest[--rest_count];
        size_t middle = middle_of(c, s);
        if (middle < s.end) {
            CHECK(rest_count + 2 <= sizeof(rest) / sizeof(rest[0]));
            rest[rest_count++] = (struct stretch){s.from, middle};
            rest[rest_count++] = (struct stretch){middle + 1, s.end - 1};
        } else if (at == 0) {
            return 0; /* so many sides that most are not worth a look */
        } else {
            out[--at] = term_of(c, s);
        }
    }
    memmove(out, out + at, (CONDITION_TERMS_MAX - at) * sizeof(*out));
    return CONDITION_TERMS_MAX - at;
}

bool condition_term_allows(const struct condition_term *term, int64_t number)
{
    int64_t with = term->values[0].number;
    return condition_holds((enum condition_compare)term->how, (number > with) - (number < with));
}
