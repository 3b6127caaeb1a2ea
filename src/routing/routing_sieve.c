/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of a thousand rules most are ruled out by few facts: another language, another team. What must
 * hold for a rule is known when it is read (condition_terms()), so each *subject* that rules ask
 * for (a fact, a map's member) keeps, by its values, a row of bits: the rules that it leaves. One
 * look at a subject then stands for asking all rules that name it, and what is left of them is
 * asked one by one, in the order of the file.
 *
 * A term that is left out of the index costs time and nothing else: the rule itself decides. So
 * there are bounds: SUBJECTS_MAX subjects, ROWS_MAX rows of texts.
 */
#include <stdlib.h>

#include "base/map.h"
#include "routing/routing_internal.h"

#define SUBJECTS_MAX    64 /* a bit each in a sieve */
#define ROWS_MAX        16384
#define FIRST_TERMS_MAX 4

enum subject_kind { SUBJECT_TEAM, SUBJECT_TEXT, SUBJECT_MEMBER, SUBJECT_INT, SUBJECT_BOOL };

/* Which numbers a rule takes. */
struct number_term {
    struct number_term *next;
    struct condition_term term;
    size_t rule;
};

struct subject {
    enum subject_kind kind;
    unsigned fact;
    struct span key;           /* of a member */
    uint64_t *mask;            /* the rules that ask for it */
    struct map rows;           /* of texts, by value; what is not there leaves none of them */
    uint64_t *truths[2];       /* of truths */
    struct number_term *terms; /* of numbers, while it is made */
    int64_t *edges;            /* in their order, and ... */
    uint64_t *between;         /* ... the rows below, at, behind each, 2 * edge_count + 1 */
    size_t term_count, edge_count;
};

struct routing_index {
    struct subject subjects[SUBJECTS_MAX];
    size_t subject_count, row_count, words; /* of a row */
    uint64_t *named;                        /* rules that bind calls that name their model */
    uint8_t (*first)[FIRST_TERMS_MAX + 1];  /* of each rule the subjects that it asks for first, by
                                               number + 1, and 0 behind them */
};

struct maker {
    struct routing *r;
    struct routing_index *x;
    bool out_of_memory;
};

/* ---- making it ---- */

static void set(uint64_t *row, size_t i)
{
    row[i / 64] |= UINT64_C(1) << i % 64;
}

static bool has(const uint64_t *row, size_t i)
{
    return (row[i / 64] >> i % 64 & 1) != 0;
}

static void *make_new(struct maker *m, size_t size)
{
    void *at = arena_new(&m->r->arena, size);
    m->out_of_memory = m->out_of_memory || at == NULL;
    return at;
}

static uint64_t *new_row(struct maker *m)
{
    return make_new(m, m->x->words * sizeof(uint64_t));
}

static bool prepare_truths(struct maker *m, struct subject *s)
{
    s->truths[0] = new_row(m);
    s->truths[1] = new_row(m);
    return !m->out_of_memory;
}

/* NULL: there is no room for another. */
static struct subject *subject_of(struct maker *m, enum subject_kind kind, unsigned fact,
                                  struct span key)
{
    struct routing_index *x = m->x;
    for (size_t i = 0; i < x->subject_count; i++) {
        struct subject *s = &x->subjects[i];
        if (s->kind == kind && s->fact == fact && span_equal(s->key, key)) {
            return s;
        }
    }
    if (x->subject_count == SUBJECTS_MAX) {
        return NULL;
    }
    struct subject *s = &x->subjects[x->subject_count];
    *s = (struct subject){.kind = kind, .fact = fact, .key = key, .mask = new_row(m)};
    if (m->out_of_memory || (kind == SUBJECT_BOOL && !prepare_truths(m, s))) {
        return NULL;
    }
    map_init(&s->rows);
    x->subject_count++;
    return s;
}

static bool has_room_for(const struct maker *m, size_t rows)
{
    return rows <= ROWS_MAX && m->x->row_count <= ROWS_MAX - rows;
}

/* The rule is left by this value of a text. */
static void leave_by_text(struct maker *m, struct subject *s, struct span value, size_t rule)
{
    uint64_t *row = map_find(&s->rows, value);
    if (row == NULL) {
        row = new_row(m);
        m->x->row_count++;
        m->out_of_memory = m->out_of_memory || map_put_borrow(&s->rows, value, row) != ERR_OK;
    }
    if (!m->out_of_memory) {
        set(row, rule);
    }
}

/* NULL: it is left out. */
static struct subject *add_texts(struct maker *m, const struct condition_term *t, size_t rule)
{
    bool is_member = t->kind == CONDITION_TERM_MEMBER;
    struct subject *s =
        !has_room_for(m, t->count)
            ? NULL
            : subject_of(m, is_member ? SUBJECT_MEMBER : SUBJECT_TEXT, t->fact, t->key);
    if (s == NULL || has(s->mask, rule)) { /* one of its terms is enough */
        return s;
    }
    for (size_t i = 0; i < t->count && !m->out_of_memory; i++) {
        leave_by_text(m, s, t->values[i].text, rule);
    }
    set(s->mask, rule);
    return s;
}

static struct subject *add_truth(struct maker *m, const struct condition_term *t, size_t rule)
{
    struct subject *s = subject_of(m, SUBJECT_BOOL, t->fact, SPAN(""));
    if (s != NULL && !has(s->mask, rule)) {
        set(s->truths[t->truth], rule);
        set(s->mask, rule);
    }
    return s;
}

static struct subject *add_number(struct maker *m, const struct condition_term *t, size_t rule)
{
    struct subject *s = subject_of(m, SUBJECT_INT, t->fact, SPAN(""));
    struct number_term *kept = s == NULL ? NULL : make_new(m, sizeof(*kept));
    if (kept == NULL || s->term_count == ROUTING_RULES_MAX) {
        return NULL;
    }
    *kept = (struct number_term){.next = s->terms, .term = *t, .rule = rule};
    s->terms = kept;
    s->term_count++;
    set(s->mask, rule);
    return s;
}

static struct subject *add_term(struct maker *m, const struct condition_term *t, size_t rule)
{
    switch (t->kind) {
    case CONDITION_TERM_TEXT:
    case CONDITION_TERM_MEMBER:
        return add_texts(m, t, rule);
    case CONDITION_TERM_BOOL:
        return add_truth(m, t, rule);
    case CONDITION_TERM_INT:
        return add_number(m, t, rule);
    case CONDITION_TERM_OTHER:
        break;
    }
    return NULL;
}

static struct subject *add_teams(struct maker *m, size_t rule)
{
    const struct routing_rule *of = &m->r->rules[rule];
    struct subject *s = !has_room_for(m, of->team_count)
                            ? NULL
                            : subject_of(m, SUBJECT_TEAM, ROUTING_TEAM, SPAN(""));
    if (s == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < of->team_count && !m->out_of_memory; i++) {
        leave_by_text(m, s, of->teams[i], rule);
    }
    set(s->mask, rule);
    return s;
}

/* Notes that a rule asks for this next. False: it asks for what is not in the index, or for much.
 */
static bool add_first(struct maker *m, size_t rule, size_t *count, const struct subject *s)
{
    if (s == NULL || *count == FIRST_TERMS_MAX) {
        return false;
    }
    m->x->first[rule][(*count)++] = (uint8_t)(s - m->x->subjects + 1);
    return true;
}

static void add_rule(struct maker *m, size_t rule)
{
    const struct routing_rule *of = &m->r->rules[rule];
    struct condition_term terms[CONDITION_TERMS_MAX];
    size_t count = of->condition == NULL ? 0 : condition_terms(of->condition, terms);
    size_t firsts = 0;
    bool is_first = of->team_count == 0 || add_first(m, rule, &firsts, add_teams(m, rule));
    is_first = is_first && of->weekdays == 0 && of->from == of->until; /* the time is asked first */
    for (size_t i = 0; i < count && !m->out_of_memory; i++) {
        const struct subject *s = add_term(m, &terms[i], rule);
        is_first = is_first && add_first(m, rule, &firsts, s);
    }
    if (of->binds_named) {
        set(m->x->named, rule);
    }
}

/* ---- numbers ---- */

static int by_number(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void find_edges(struct subject *s)
{
    size_t count = 0;
    for (const struct number_term *t = s->terms; t != NULL; t = t->next) {
        s->edges[count++] = t->term.values[0].number;
    }
    qsort(s->edges, count, sizeof(s->edges[0]), by_number);
    for (size_t i = 0; i < count; i++) {
        if (s->edge_count == 0 || s->edges[i] != s->edges[s->edge_count - 1]) {
            s->edges[s->edge_count++] = s->edges[i];
        }
    }
}

/* A number of the stretch `i`; where a stretch has none, any. */
static int64_t number_of(const struct subject *s, size_t i)
{
    int64_t edge = s->edges[i / 2 < s->edge_count ? i / 2 : s->edge_count - 1];
    bool is_above = i == 2 * s->edge_count;
    if (is_above) {
        return edge == INT64_MAX ? edge : edge + 1;
    }
    return i % 2 == 1 || edge == INT64_MIN ? edge : edge - 1;
}

/* All terms of a rule have to allow a number. */
static void fill_between(struct maker *m, struct subject *s)
{
    size_t words = m->x->words;
    for (size_t i = 0; i < 2 * s->edge_count + 1; i++) {
        uint64_t *row = &s->between[i * words];
        int64_t number = number_of(s, i);
        memcpy(row, s->mask, words * sizeof(*row));
        for (const struct number_term *t = s->terms; t != NULL; t = t->next) {
            if (!condition_term_allows(&t->term, number)) {
                row[t->rule / 64] &= ~(UINT64_C(1) << t->rule % 64);
            }
        }
    }
}

static void settle_numbers(struct maker *m, struct subject *s)
{
    s->edges = make_new(m, s->term_count * sizeof(s->edges[0]));
    if (s->edges == NULL) {
        return;
    }
    find_edges(s);
    s->between = make_new(m, (2 * s->edge_count + 1) * m->x->words * sizeof(uint64_t));
    if (s->between != NULL) {
        fill_between(m, s);
    }
}

bool routing_index_make(struct routing *r)
{
    struct maker m = {.r = r};
    m.x = make_new(&m, sizeof(*m.x));
    if (m.x == NULL) {
        return false;
    }
    r->index = m.x;
    m.x->words = r->rule_count / 64 + 1;
    m.x->named = new_row(&m);
    m.x->first = make_new(&m, (r->rule_count + 1) * sizeof(m.x->first[0]));
    for (size_t i = 0; i < r->rule_count && !m.out_of_memory; i++) {
        add_rule(&m, i);
    }
    for (size_t i = 0; i < m.x->subject_count && !m.out_of_memory; i++) {
        if (m.x->subjects[i].kind == SUBJECT_INT) {
            settle_numbers(&m, &m.x->subjects[i]);
        }
    }
    return !m.out_of_memory;
}

void routing_index_fini(struct routing *r)
{
    for (size_t i = 0; r->index != NULL && i < r->index->subject_count; i++) {
        map_fini(&r->index->subjects[i].rows);
    }
}

/* ---- using it ---- */

void routing_sieve_begin(const struct routing *r, bool only_named, struct routing_sieve *s)
{
    const struct routing_index *x = r->index;
    s->asked = 0;
    for (size_t w = 0; w < x->words && w < sizeof(s->left) / sizeof(s->left[0]); w++) {
        s->left[w] = only_named ? x->named[w] : UINT64_MAX;
    }
}

static const uint64_t *row_of_number(const struct routing_index *x, const struct subject *s,
                                     int64_t number)
{
    size_t low = 0, high = s->edge_count; /* of the edges, that below `low` are smaller */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->edges[middle] < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool is_edge = low < s->edge_count && s->edges[low] == number;
    return &s->between[(2 * low + is_edge) * x->words];
}

/* Of the rules that ask for a subject only those of the rows, either of which may be NULL, stay. */
static void keep(const struct routing_index *x, const struct subject *s, const uint64_t *row,
                 const uint64_t *other, struct routing_sieve *sieve)
{
    for (size_t w = 0; w < x->words && w < sizeof(sieve->left) / sizeof(sieve->left[0]); w++) {
        sieve->left[w] &= ~s->mask[w] | (row == NULL ? 0 : row[w]) | (other == NULL ? 0 : other[w]);
    }
}

static void look_at_team(const struct routing_index *x, const struct subject *s,
                         struct condition_facts *facts, struct routing_sieve *sieve)
{
    const struct condition_value *name = condition_fact(facts, ROUTING_TEAM),
                                 *id = condition_fact(facts, ROUTING_TEAM_ID);
    keep(x, s, name == NULL ? NULL : map_find(&s->rows, name->text),
         id == NULL ? NULL : map_find(&s->rows, id->text), sieve);
}

static void look_at_member(const struct routing_index *x, const struct subject *s,
                           struct condition_facts *facts, struct routing_sieve *sieve)
{
    struct span value = SPAN("");
    bool is_missing = (facts->missing >> s->fact & 1) != 0; /* the rules themselves fail by it */
    if (is_missing) {
        return;
    }
    if (!facts->find_member(facts->ctx, s->fact, s->key, &value)) {
        value = SPAN("");
    }
    keep(x, s, map_find(&s->rows, value), NULL, sieve);
}

static void look_at(const struct routing_index *x, const struct subject *s,
                    struct condition_facts *facts, struct routing_sieve *sieve)
{
    if (s->kind == SUBJECT_TEAM) {
        look_at_team(x, s, facts, sieve);
        return;
    }
    if (s->kind == SUBJECT_MEMBER) {
        look_at_member(x, s, facts, sieve);
        return;
    }
    const struct condition_value *value = condition_fact(facts, s->fact);
    if (value != NULL) {
        keep(x, s,
             s->kind == SUBJECT_TEXT   ? map_find(&s->rows, value->text)
             : s->kind == SUBJECT_BOOL ? s->truths[value->truth]
                                       : row_of_number(x, s, value->number),
             NULL, sieve);
    }
}

/* Whether what the rule asks for first leaves it. */
static bool stays(const struct routing_index *x, size_t rule, struct condition_facts *facts,
                  struct routing_sieve *sieve)
{
    for (size_t i = 0; x->first[rule][i] != 0 && has(sieve->left, rule); i++) {
        size_t subject = x->first[rule][i] - 1u;
        if ((sieve->asked >> subject & 1) == 0) {
            sieve->asked |= UINT64_C(1) << subject;
            look_at(x, &x->subjects[subject], facts, sieve);
        }
    }
    return has(sieve->left, rule);
}

size_t routing_next(const struct routing *r, size_t from, struct condition_facts *facts,
                    struct routing_sieve *sieve)
{
    size_t at = from;
    while (at < r->rule_count) {
        uint64_t rest = sieve->left[at / 64] >> at % 64;
        if (rest == 0) {
            at = (at / 64 + 1) * 64;
            continue;
        }
        at += (size_t)__builtin_ctzll(rest);
        if (at < r->rule_count && stays(r->index, at, facts, sieve)) {
            return at;
        }
        at++;
    }
    return r->rule_count;
}
