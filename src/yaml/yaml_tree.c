/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml gives events; a stack of open mappings and sequences turns them into a tree. A mapping's
 * scalar that comes while no key waits is a key. Depth is checked as events come, and libyaml reads
 * only a few tokens ahead, so what is too deep is not built first and refused afterwards.
 */
#include "yaml/yaml_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "base/map.h"
#include "yaml/yaml_explain.h"

/* A mapping or sequence that is not closed yet. */
struct open {
    struct ytree_node *node;
    struct ytree_node *last; /* its newest child */
    struct map keys;         /* of a mapping: the keys so far */
    bool has_key;            /* a key waits for its value */
    struct span key;
    struct ytree_place key_place;
};

struct builder {
    struct arena *arena;
    struct ytree_problem *problem;
    struct ytree_node *root;
    struct open stack[YTREE_DEPTH_MAX];
    size_t depth;
    uint32_t nodes;
    uint32_t documents;
    enum err failure; /* what ended it */
};

static struct ytree_place place_of(yaml_mark_t mark)
{
    return (struct ytree_place){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

static enum err PRINTF_LIKE(3, 4)
    refuse(struct builder *b, struct ytree_place place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    b->problem->place = place;
    vsnprintf(b->problem->sentence, sizeof(b->problem->sentence), format, args);
    va_end(args);
    b->failure = ERR_CONFIG;
    return ERR_CONFIG;
}

/* Hangs `node` where the next value belongs. */
static enum err attach(struct builder *b, struct ytree_node *node)
{
    if (b->depth == 0) {
        b->root = node;
        return ERR_OK;
    }
    struct open *parent = &b->stack[b->depth - 1];
    if (parent->node->kind == YTREE_MAP) {
        if (!parent->has_key) {
            return refuse(b, node->place, "a key must be a plain word or a quoted text");
        }
        node->key = parent->key;
        node->key_place = parent->key_place;
        parent->has_key = false;
    }
    if (parent->last == NULL) {
        parent->node->first = node;
    } else {
        parent->last->next = node;
    }
    parent->last = node;
    parent->node->count++;
    return ERR_OK;
}

/* NULL: b->failure says why. */
static struct ytree_node *new_node(struct builder *b, enum ytree_kind kind, yaml_mark_t mark)
{
    if (++b->nodes > YTREE_NODES_MAX) {
        (void)refuse(b, place_of(mark), "the file holds more than %u values", YTREE_NODES_MAX);
        return NULL;
    }
    struct ytree_node *node = arena_new(b->arena, sizeof(*node));
    if (node == NULL) {
        b->failure = ERR_NO_MEMORY;
        return NULL;
    }
    node->kind = kind;
    node->place = node->key_place = place_of(mark);
    return node;
}

/* `text` is the key whose value comes next. */
static enum err take_key(struct builder *b, struct open *map, struct span text, yaml_mark_t mark)
{
    const struct ytree_place *before = map_find(&map->keys, text);
    struct ytree_place *place = arena_new(b->arena, sizeof(*place));
    if (place == NULL) {
        return ERR_NO_MEMORY;
    }
    *place = place_of(mark);
    if (before != NULL) {
        return refuse(b, *place, "'%.*s' is given twice; line %u has it already",
                      (int)(text.len < 64 ? text.len : 64), (const char *)text.at, before->line);
    }
    map->key = text;
    map->key_place = *place;
    map->has_key = true;
    return map_put_borrow(&map->keys, text, place);
}

static enum err on_scalar(struct builder *b, const yaml_event_t *event)
{
    struct span text =
        arena_copy(b->arena, span_make(event->data.scalar.value, event->data.scalar.length));
    if (text.at == NULL) {
        return ERR_NO_MEMORY;
    }
    if (memchr(text.at, '\0', text.len) != NULL) {
        return refuse(b, place_of(event->start_mark), "a text may not hold a NUL character");
    }
    struct open *parent = b->depth == 0 ? NULL : &b->stack[b->depth - 1];
    if (parent != NULL && parent->node->kind == YTREE_MAP && !parent->has_key) {
        return take_key(b, parent, text, event->start_mark);
    }
    struct ytree_node *node = new_node(b, YTREE_SCALAR, event->start_mark);
    if (node == NULL) {
        return b->failure;
    }
    node->text = text;
    node->from = (uint32_t)event->start_mark.index;
    node->until = (uint32_t)event->end_mark.index;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return attach(b, node);
}

static enum err on_open(struct builder *b, enum ytree_kind kind, yaml_mark_t mark)
{
    if (b->depth == YTREE_DEPTH_MAX) {
        return refuse(b, place_of(mark), "more than %u levels deep", YTREE_DEPTH_MAX);
    }
    struct ytree_node *node = new_node(b, kind, mark);
    if (node == NULL) {
        return b->failure;
    }
    enum err e = attach(b, node);
    if (e == ERR_OK) {
        struct open *open = &b->stack[b->depth++];
        *open = (struct open){.node = node};
        map_init(&open->keys);
    }
    return e;
}

static enum err on_close(struct builder *b)
{
    CHECK(b->depth > 0);
    map_fini(&b->stack[--b->depth].keys);
    return ERR_OK;
}

/* Anchors, aliases and tags: what they name is written in the event's own part of the union. */
static const char *outside_subset(const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    if (event->type == YAML_ALIAS_EVENT) {
        return "an alias (*) is not supported here; write the value out, or quote a '*'";
    }
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor != NULL) {
        return "an anchor (&) is not supported here; write the value out, or quote a '&'";
    }
    return tag != NULL ? "a tag (!) is not supported here; quote a '!'" : NULL;
}

static enum err on_event(struct builder *b, const yaml_event_t *event)
{
    const char *outside = outside_subset(event);
    if (outside != NULL) {
        return refuse(b, place_of(event->start_mark), "%s", outside);
    }
    switch ((int)event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++b->documents > 1) {
            return refuse(b, place_of(event->start_mark), "a second document begins here");
        }
        return ERR_OK;
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(b, YTREE_LIST, event->start_mark);
    case YAML_MAPPING_START_EVENT:
        return on_open(b, YTREE_MAP, event->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(b);
    default: /* stream start and end, document end */
        return ERR_OK;
    }
}

/* The line and column of the byte at `offset`: libyaml's reader knows the offset only. */
static struct ytree_place place_at(struct span text, size_t offset)
{
    struct ytree_place place = {1, 1};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.at[i] == '\n') {
            place = (struct ytree_place){place.line + 1, 1};
        } else if ((text.at[i] & 0xC0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

static enum err parser_failed(struct builder *b, const yaml_parser_t *parser, struct span text)
{
    if (parser->error == YAML_MEMORY_ERROR) {
        return ERR_NO_MEMORY;
    }
    if (parser->error == YAML_READER_ERROR) {
        return refuse(b, place_at(text, parser->problem_offset), "%s",
                      strstr(parser->problem, "control") != NULL
                          ? "a control character; write it as an escape in double quotes"
                          : "not valid UTF-8");
    }
    struct ytree_place place = place_of(parser->problem_mark);
    struct yaml_complaint complaint = {.place = place, .problem = parser->problem};
    if (parser->context != NULL) {
        complaint.context = place_of(parser->context_mark);
    }
    if (yaml_explain(text, &complaint, b->problem)) {
        b->failure = ERR_CONFIG;
        return ERR_CONFIG;
    }
    if (parser->context == NULL) {
        return refuse(b, place, "not valid YAML: %s", parser->problem);
    }
    return refuse(b, place, "not valid YAML: %s (%s, line %zu)", parser->problem, parser->context,
                  parser->context_mark.line + 1);
}

static enum err read_events(struct builder *b, yaml_parser_t *parser, struct span text)
{
    bool ended = false;
    while (!ended) {
        yaml_event_t event;
        if (yaml_parser_parse(parser, &event) == 0) {
            return parser_failed(b, parser, text);
        }
        enum err e = on_event(b, &event);
        ended = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (e != ERR_OK) {
            return e;
        }
    }
    return ERR_OK;
}

enum err ytree_parse(struct span text, struct arena *arena, struct ytree_problem *problem,
                     const struct ytree_node **out)
{
    static const uint8_t nothing[1] = {0};
    struct builder b = {.arena = arena, .problem = problem};
    yaml_parser_t parser;
    if (text.len > YTREE_BYTES_MAX) {
        return refuse(&b, (struct ytree_place){1, 1}, "the file is larger than %u bytes",
                      YTREE_BYTES_MAX);
    }
    if (span_starts(text, SPAN("\xEF\xBB\xBF"))) {
        text = span_cut(text, 3, text.len); /* a byte order mark, as some editors write it */
    }
    if (yaml_parser_initialize(&parser) == 0) {
        return ERR_NO_MEMORY;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, text.at == NULL ? nothing : text.at, text.len);
    enum err e = read_events(&b, &parser, text);
    yaml_parser_delete(&parser);
    while (b.depth > 0) {
        (void)on_close(&b); /* cannot fail while something is open */
    }
    if (e == ERR_OK && (b.root == NULL || ytree_is_null(b.root))) {
        b.nodes = 0;
        b.root = new_node(&b, YTREE_MAP, (yaml_mark_t){0});
        e = b.root == NULL ? b.failure : ERR_OK;
    }
    if (e == ERR_OK) {
        *out = b.root;
    }
    return e;
}

const struct ytree_node *ytree_find(const struct ytree_node *node, const char *key)
{
    if (node == NULL || node->kind != YTREE_MAP) {
        return NULL;
    }
    const struct ytree_node *child = node->first;
    while (child != NULL && !span_is(child->key, key)) {
        child = child->next;
    }
    return child;
}

bool ytree_is_null(const struct ytree_node *node)
{
    return node->kind == YTREE_SCALAR && node->plain &&
           (node->text.len == 0 || span_is(node->text, "~") || span_is(node->text, "null"));
}
