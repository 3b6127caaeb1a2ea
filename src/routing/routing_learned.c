/* SPDX-License-Identifier: Apache-2.0 */
/* `learned:` of the file, which says how models are chosen by labelled prompts. */

#include <glib.h>

#include "routing/routing_internal.h"

#define NEIGHBOURS      20
#define TARGET          0.7
#define DEADLINE_MS     50
#define DEADLINE_MAX_MS 2000

static struct span keep(struct routing_reader *in, struct span text)
{
    struct span kept = arena_copy(&in->r->arena, text);
    in->out_of_memory = in->out_of_memory || kept.at == NULL;
    return kept.at == NULL ? SPAN("") : kept;
}

static void read_embeddings(struct routing_reader *in, const struct ytree_node *node)
{
    const struct routing_world *world = in->world;
    bool is_model = node->kind == YTREE_SCALAR && world->has_model(world->ctx, node->text) &&
                    (world->embeds == NULL || world->embeds(world->ctx, node->text));
    if (!is_model) {
        routing_problem(in, node->place,
                        "embeddings names a model of `models:` that serves /v1/embeddings");
        return;
    }
    in->r->learned.embeddings = keep(in, node->text);
}

static void read_examples(struct routing_reader *in, const struct ytree_node *node)
{
    if (node->kind != YTREE_SCALAR || node->text.len == 0) {
        routing_problem(in, node->place, "examples is a file, as `atlas route learn` writes it");
        return;
    }
    in->r->learned.file = keep(in, node->text);
}

static void read_neighbours(struct routing_reader *in, const struct ytree_node *node)
{
    uint64_t number = 0;
    if (node->kind != YTREE_SCALAR || !span_to_u64(node->text, ROUTING_NEIGHBOURS_MAX, &number) ||
        number == 0) {
        routing_problem(in, node->place, "neighbours is a whole number from 1 to %d",
                        ROUTING_NEIGHBOURS_MAX);
    }
    in->r->learned.neighbours = (uint32_t)number;
}

static void read_target(struct routing_reader *in, const struct ytree_node *node)
{
    char text[16];
    char *end = text;
    span_copy_text(node->text, text, sizeof(text));
    double target = node->text.len > 0 && node->text.len < sizeof(text) && node->text.at[0] != '-'
                        ? g_ascii_strtod(text, &end)
                        : 0;
    if (node->kind != YTREE_SCALAR || *end != '\0' || !(target > 0 && target <= 1)) {
        routing_problem(in, node->place, "target is a number above 0 and at most 1, such as 0.8");
        return;
    }
    in->r->learned.target = target;
}

static void read_deadline(struct routing_reader *in, const struct ytree_node *node)
{
    int64_t ms = node->kind == YTREE_SCALAR ? routing_read_duration(node->text) : 0;
    if (ms == 0 || ms > DEADLINE_MAX_MS) {
        routing_problem(in, node->place, "deadline is a time from 1ms to 2s");
    }
    in->r->learned.deadline_ms = ms;
}

void routing_read_learned(struct routing_reader *in, const struct ytree_node *node)
{
    static const struct {
        const char *key;
        void (*read)(struct routing_reader *in, const struct ytree_node *node);
    } rows[] = {{"embeddings", read_embeddings},
                {"examples", read_examples},
                {"neighbours", read_neighbours},
                {"target", read_target},
                {"deadline", read_deadline}};
    static const char *const names[] = {"embeddings", "examples", "neighbours",
                                        "target",     "deadline", NULL};
    struct routing_learned *l = &in->r->learned;
    if (node->kind != YTREE_MAP || ytree_find(node, "embeddings") == NULL ||
        ytree_find(node, "examples") == NULL) {
        routing_problem(in, node->place,
                        "learned is {embeddings: MODEL, examples: FILE}, and neighbours, target "
                        "and deadline where others are wanted");
        return;
    }
    *l = (struct routing_learned){.embeddings = SPAN(""),
                                  .file = SPAN(""),
                                  .neighbours = NEIGHBOURS,
                                  .target = TARGET,
                                  .deadline_ms = DEADLINE_MS};
    in->r->has_learned = true;
    routing_check_keys(in, node, "learned", names);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct ytree_node *child = ytree_find(node, rows[i].key);
        if (child != NULL) {
            rows[i].read(in, child);
        }
    }
}

const struct routing_learned *routing_learned_of(const struct routing *r)
{
    return r == NULL || !r->has_learned ? NULL : &r->learned;
}

void routing_take_examples(struct routing *r, struct routing_examples **examples)
{
    routing_examples_free(&r->examples);
    r->examples = *examples;
    r->learned.examples = *examples;
    *examples = NULL;
}
