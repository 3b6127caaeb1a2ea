/* SPDX-License-Identifier: Apache-2.0 */
/* The file as a whole, and what is asked of its rules. */
#include "routing/routing.h"

#include <glib.h>

#include "base/map.h"
#include "base/memory.h"
#include "base/zone.h"
#include "crypto/hmac.h"
#include "routing/routing_internal.h"

#define ARENA_BYTES_MAX (64u << 20)
#define DAY_MINUTES     1440

/* ---- the file ---- */

static void read_zone(struct routing_reader *in, const struct ytree_node *node)
{
    if (node == NULL) {
        return;
    }
    bool is_name = node->kind == YTREE_SCALAR && zone_is_known((const char *)node->text.at);
    in->r->zone = is_name ? g_time_zone_new_identifier((const char *)node->text.at) : NULL;
    if (in->r->zone == NULL) {
        routing_problem(in, node->place, "time_zone is a name such as Asia/Riyadh, or UTC");
    }
}

static void read_version(struct routing_reader *in, const struct ytree_node *node)
{
    if (node == NULL) {
        return;
    }
    if (node->kind != YTREE_SCALAR || node->text.len > 64) {
        routing_problem(in, node->place, "version is a text of at most 64 bytes");
        return;
    }
    in->r->version = arena_copy(&in->r->arena, node->text);
    in->out_of_memory = in->out_of_memory || in->r->version.at == NULL;
}

/* Two rules of one name could not be told apart in a header or a record. */
static void check_name_once(struct routing_reader *in, struct map *names,
                            const struct routing_rule *rule, const struct ytree_node *node)
{
    const struct ytree_node *before = rule->name.len == 0 ? NULL : map_find(names, rule->name);
    if (before != NULL) {
        routing_problem(in, node->place, "a rule of line %u is called '%.*s' already",
                        before->place.line, SPAN_ARGS(rule->name));
    } else if (rule->name.len > 0 &&
               map_put_borrow(names, rule->name, (void *)(uintptr_t)node) != ERR_OK) {
        in->out_of_memory = true;
    }
}

static void read_rules(struct routing_reader *in, const struct ytree_node *list)
{
    struct routing *r = in->r;
    struct map names;
    if (list->count > ROUTING_RULES_MAX) {
        routing_problem(in, list->place, "there are %u rules, of at most %d", list->count,
                        ROUTING_RULES_MAX);
        return;
    }
    r->rules = arena_new(&r->arena, (list->count + 1) * sizeof(*r->rules));
    if (r->rules == NULL) {
        in->out_of_memory = true;
        return;
    }
    map_init(&names);
    for (const struct ytree_node *node = list->first; node != NULL && !in->out_of_memory;
         node = node->next) {
        struct routing_rule *rule = &r->rules[r->rule_count++];
        routing_read_rule(in, node, rule);
        check_name_once(in, &names, rule, node);
        r->binds_named = r->binds_named || rule->binds_named;
        r->uses |= rule->condition == NULL ? 0 : condition_uses(rule->condition);
    }
    map_fini(&names);
}

static void read_file(struct routing_reader *in, const struct ytree_node *root)
{
    static const char *const names[] = {"routes",    "default_profile", "learned",
                                        "time_zone", "version",         NULL};
    const struct ytree_node *routes = ytree_find(root, "routes");
    const struct ytree_node *profile = ytree_find(root, "default_profile");
    if (root->kind != YTREE_MAP) {
        routing_problem(in, root->place, "the file begins with `routes:`, a list of rules");
        return;
    }
    routing_check_keys(in, root, "the file", names);
    read_version(in, ytree_find(root, "version"));
    read_zone(in, ytree_find(root, "time_zone"));
    if (ytree_find(root, "learned") != NULL) {
        routing_read_learned(in, ytree_find(root, "learned"));
    }
    in->r->profile = profile == NULL ? ROUTING_BALANCED : routing_read_profile(in, profile);
    if (routes == NULL || ytree_is_null(routes)) {
        routing_problem(in, root->place,
                        "there are no `routes:`; where there shall be no rules, say `routes: []`");
    } else if (routes->kind == YTREE_LIST) {
        read_rules(in, routes);
    } else {
        routing_problem(in, routes->place, "routes is a list: each rule begins with `- name:`");
    }
}

static enum err read_text(struct routing_reader *in)
{
    struct ytree_problem problem;
    const struct ytree_node *root = NULL;
    enum err e = ytree_parse(in->text, &in->scratch, &problem, &root);
    if (e == ERR_CONFIG) {
        routing_problem(in, problem.place, "%s", problem.sentence);
    }
    if (e != ERR_OK) {
        return e;
    }
    read_file(in, root);
    if (in->problem_count > ROUTING_PROBLEMS_MAX) {
        buf_printf(in->problems, "%s: and %zu more\n", in->name,
                   in->problem_count - ROUTING_PROBLEMS_MAX);
    }
    return in->out_of_memory ? ERR_NO_MEMORY : in->problem_count > 0 ? ERR_CONFIG : ERR_OK;
}

enum err routing_read(struct span text, const char *name, const struct routing_world *world,
                      struct buf *problems, struct routing **out)
{
    struct routing *r = memory_new(sizeof(*r));
    if (r == NULL) {
        return ERR_NO_MEMORY;
    }
    atomic_store(&r->refs, 1);
    arena_init(&r->arena, ARENA_BYTES_MAX);
    r->version = SPAN("");
    crypto_sha256(text, r->digest);
    struct routing_reader in = {
        .r = r, .text = text, .name = name, .world = world, .problems = problems};
    arena_init(&in.scratch, ARENA_BYTES_MAX);
    enum err e = read_text(&in);
    arena_fini(&in.scratch);
    e = e == ERR_OK && !routing_index_make(r) ? ERR_NO_MEMORY : e;
    if (e == ERR_OK) {
        *out = r;
    } else {
        routing_unref(&r);
    }
    return e;
}

struct routing *routing_ref(struct routing *r)
{
    if (r != NULL) {
        (void)atomic_fetch_add(&r->refs, 1); /* the old count is of no use */
    }
    return r;
}

void routing_unref(struct routing **routing)
{
    struct routing *r = *routing;
    *routing = NULL;
    if (r == NULL || atomic_fetch_sub(&r->refs, 1) > 1) {
        return;
    }
    for (size_t i = 0; i < r->rule_count; i++) {
        struct condition *c = (struct condition *)(uintptr_t)r->rules[i].condition;
        condition_free(&c);
    }
    routing_index_fini(r);
    if (r->zone != NULL) {
        g_time_zone_unref(r->zone);
    }
    routing_examples_free(&r->examples);
    arena_fini(&r->arena);
    memory_free(r);
}

/* ---- what is asked ---- */

size_t routing_count(const struct routing *r)
{
    return r->rule_count;
}

const struct routing_rule *routing_rule(const struct routing *r, size_t i)
{
    CHECK(i < r->rule_count);
    return &r->rules[i];
}

bool routing_binds_named(const struct routing *r)
{
    return r->binds_named;
}

enum routing_profile routing_default_profile(const struct routing *r)
{
    return r->profile;
}

struct span routing_version(const struct routing *r)
{
    return r->version;
}

const uint8_t *routing_digest(const struct routing *r)
{
    return r->digest;
}

uint64_t routing_uses(const struct routing *r)
{
    return r->uses;
}

struct routing_moment routing_moment_of(const struct routing *r, wall_us at)
{
    int64_t second = at.us / 1000000;
    if (r->zone != NULL) {
        int interval = g_time_zone_find_interval(r->zone, G_TIME_TYPE_UNIVERSAL, second);
        second += g_time_zone_get_offset(r->zone, interval);
    }
    int64_t minute = second / 60;
    return (struct routing_moment){.hour = (int)(minute / 60 % 24),
                                   .minute = (int)(minute % 60),
                                   .weekday = (int)((minute / DAY_MINUTES + 3) % 7 + 1)};
}

static bool is_of_team(const struct routing_rule *rule, struct condition_facts *facts)
{
    const struct condition_value *name = condition_fact(facts, ROUTING_TEAM),
                                 *id = condition_fact(facts, ROUTING_TEAM_ID);
    for (size_t i = 0; i < rule->team_count; i++) {
        if ((name != NULL && span_equal(name->text, rule->teams[i])) ||
            (id != NULL && span_equal(id->text, rule->teams[i]))) {
            return true;
        }
    }
    return rule->team_count == 0;
}

/* Hours that end before they begin end on the next day, and are of the weekday they begin on. */
static bool is_in_time(const struct routing_rule *rule, struct condition_facts *facts)
{
    if (rule->weekdays == 0 && rule->from == rule->until) {
        return true;
    }
    const struct condition_value *hour = condition_fact(facts, ROUTING_HOUR),
                                 *minute = condition_fact(facts, ROUTING_MINUTE),
                                 *weekday = condition_fact(facts, ROUTING_WEEKDAY);
    if (hour == NULL || minute == NULL || weekday == NULL) {
        return false;
    }
    int64_t now = hour->number * 60 + minute->number, day = weekday->number;
    bool is_over_night = rule->until < rule->from;
    bool is_inside =
        rule->from == rule->until || (is_over_night ? now >= rule->from || now < rule->until
                                                    : now >= rule->from && now < rule->until);
    if (is_over_night && now < rule->until) {
        day = day == 1 ? 7 : day - 1;
    }
    return is_inside && (rule->weekdays == 0 || (rule->weekdays >> day & 1) != 0);
}

enum condition_outcome routing_decide(const struct routing *r, size_t i,
                                      struct condition_facts *facts,
                                      struct condition_scratch *scratch)
{
    const struct routing_rule *rule = &r->rules[i];
    if ((rule->team_count > 0 && !is_of_team(rule, facts)) || !is_in_time(rule, facts)) {
        return CONDITION_NO;
    }
    return rule->condition == NULL ? CONDITION_YES
                                   : condition_decide(rule->condition, facts, scratch);
}
