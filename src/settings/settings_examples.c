/* SPDX-License-Identifier: Apache-2.0 */
/* The examples that `learned:` of routing_config.yaml names, read line by line: they may be larger
 * than what is kept of them. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "routing/routing.h"
#include "settings/settings_internal.h"

#define PIECE_BYTES 65536

/* A file on its way. */
struct reading {
    struct settings_loader *l;
    const char *path;
    struct routing_example_world world;
    struct routing_examples *examples;
    struct buf text; /* a line, as far as it is read */
    size_t line;
};

/* By its own name, or one that a pattern makes: an alias is no name of a candidate. */
static bool has_model(const void *ctx, struct span name)
{
    const struct policy_settings *p = ctx;
    for (size_t i = 0; i < p->models_count; i++) {
        struct span model = span_of(p->models[i].name);
        bool is_it = p->models[i].is_pattern ? span_starts(name, span_cut(model, 0, model.len - 1))
                                             : span_equal(name, model);
        if (is_it) {
            return true;
        }
    }
    return false;
}

static enum err tell(struct reading *in, enum err e, const char *fault)
{
    in->l->out_of_memory = in->l->out_of_memory || e == ERR_NO_MEMORY;
    if (e == ERR_CONFIG) {
        buf_printf(in->l->routing_problems, "%s:%zu:1: %s\n", in->path, in->line, fault);
    }
    return e;
}

static enum err add(struct reading *in, struct span line)
{
    char fault[ROUTING_EXAMPLES_FAULT] = "";
    in->line++;
    return tell(in, routing_examples_add(in->examples, &in->world, line, fault), fault);
}

/* Adds the lines that are whole; what is left of the text begins the next one. */
static enum err add_lines(struct reading *in)
{
    struct span text = buf_span(&in->text);
    enum err e = ERR_OK;
    for (size_t end; e == ERR_OK && (end = span_find(text, '\n', 0)) < text.len;) {
        e = add(in, span_cut(text, 0, end));
        text = span_cut(text, end + 1, text.len);
    }
    buf_consume(&in->text, buf_span(&in->text).len - text.len);
    if (e == ERR_OK && text.len > ROUTING_EXAMPLE_LINE_BYTES) {
        e = add(in, text); /* which says that it is too long */
    }
    return e;
}

static enum err read_all(struct reading *in, int fd)
{
    char fault[ROUTING_EXAMPLES_FAULT] = "";
    enum err e = ERR_OK;
    ssize_t got = 1;
    while (e == ERR_OK && got > 0) {
        uint8_t *room = buf_reserve(&in->text, PIECE_BYTES);
        if (room == NULL) {
            return tell(in, ERR_NO_MEMORY, "");
        }
        got = read(fd, room, PIECE_BYTES);
        buf_added(&in->text, got > 0 ? (size_t)got : 0);
        e = got < 0 ? tell(in, ERR_CONFIG, strerrordesc_np(errno)) : add_lines(in);
    }
    e = e == ERR_OK && buf_span(&in->text).len > 0 ? add(in, buf_span(&in->text)) : e;
    return e == ERR_OK ? tell(in, routing_examples_end(in->examples, fault), fault) : e;
}

static enum err read_file(struct reading *in)
{
    const char *why;
    int fd = -1;
    if (file_open(in->path, &fd, &why) != ERR_OK) {
        settings_note_unread(in->l);
        return tell(in, ERR_CONFIG, why);
    }
    enum err e = routing_examples_new(&in->examples);
    e = e == ERR_OK ? read_all(in, fd) : tell(in, e, "");
    (void)close(fd); /* only read from */
    return e;
}

bool settings_read_examples(struct settings_loader *l, struct routing *r)
{
    const struct routing_learned *learned = routing_learned_of(r);
    if (learned == NULL) {
        return true;
    }
    const char *rules = l->settings->routing_file, *name = strrchr(rules, '/');
    struct span folder = name == NULL ? SPAN(".") : span_make(rules, (size_t)(name - rules));
    const char *joined = (const char *)arena_copy(l->scratch, folder).at;
    const char *file = (const char *)arena_copy(l->scratch, learned->file).at;
    const char *path =
        joined == NULL || file == NULL ? NULL : settings_join(l->scratch, joined, file);
    if (path == NULL) {
        l->out_of_memory = true;
        return false;
    }
    struct reading in = {
        .l = l, .path = path, .world = {has_model, &l->settings->gateway, learned->embeddings}};
    buf_init(&in.text, ROUTING_EXAMPLE_LINE_BYTES + 4 * PIECE_BYTES);
    bool is_good = read_file(&in) == ERR_OK;
    if (is_good) {
        routing_take_examples(r, &in.examples);
    }
    routing_examples_free(&in.examples);
    buf_fini(&in.text);
    return is_good;
}
