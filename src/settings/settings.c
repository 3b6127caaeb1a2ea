/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A struct settings and the arena that holds all it points to are one allocation. The YAML tree and
 * the texts of problems live in a second arena, which ends with settings_open().
 */
#include "settings/settings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "guard/guard_policy.h"
#include "routing/routing.h"
#include "settings/settings_internal.h"

#define ARENA_BYTES_MAX  (256u << 20)
#define FILES_OF_PROCESS 256 /* logs, the journal, the store, the admin's clients */
#define FILES_OF_WORKER  72  /* its loop and listeners, and those that are told 503 */

enum extent { CATALOGUE_ONLY, DATA_ONLY, SETTINGS_ONLY, WITH_FILES };

struct settings_box {
    struct settings settings; /* first: what is handed out points at the box */
    struct arena arena;
};

void settings_problem(struct settings_loader *l, struct ytree_place place, const char *format, ...)
{
    char sentence[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    for (char *c = sentence; *c != '\0'; c++) {
        *c = (unsigned char)*c < ' ' ? '?' : *c; /* what a quoted text of the file may hold */
    }
    if (l->problems_count < SETTINGS_PROBLEMS_MAX) {
        struct span kept = arena_copy(l->scratch, span_of(sentence));
        l->out_of_memory = l->out_of_memory || kept.at == NULL;
        l->problems[l->problems_count] =
            (struct settings_problem){l->file, place, (const char *)kept.at};
    }
    l->problems_count++;
}

void settings_note_unread(struct settings_loader *l)
{
    l->out_of_files = l->out_of_files || errno == EMFILE || errno == ENFILE;
}

static int by_place(const void *a, const void *b)
{
    const struct settings_problem *x = a;
    const struct settings_problem *y = b;
    if (x->file != y->file) {
        return x->file < y->file ? -1 : 1; /* the main one first */
    }
    if (x->place.line != y->place.line) {
        return x->place.line < y->place.line ? -1 : 1;
    }
    return (x->place.column > y->place.column) - (x->place.column < y->place.column);
}

static void report(struct settings_loader *l, struct buf *out)
{
    size_t kept =
        l->problems_count < SETTINGS_PROBLEMS_MAX ? l->problems_count : SETTINGS_PROBLEMS_MAX;
    qsort(l->problems, kept, sizeof(l->problems[0]), by_place);
    for (size_t i = 0; i < kept; i++) {
        const struct settings_problem *p = &l->problems[i];
        const char *name = p->file->name;
        if (p->place.line == 0) {
            buf_printf(out, "%s: %s\n", name, p->sentence);
        } else {
            buf_printf(out, "%s:%u:%u: %s\n", name, p->place.line, p->place.column, p->sentence);
        }
    }
    if (l->problems_count > kept) {
        buf_printf(out, "%s: and %zu more\n", l->main.name, l->problems_count - kept);
    }
}

static bool goes_on(const struct settings_loader *l)
{
    return l->problems_count == 0 && !l->out_of_memory;
}

/* Reads the whole of l->file into `out`, whose maximum is a byte more than a file may have. */
static void read_file(struct settings_loader *l, struct buf *out)
{
    const struct ytree_place whole = {0, 0};
    int fd = -1;
    const char *why = NULL;
    ssize_t got = file_open(l->file->name, &fd, &why) == ERR_OK ? 1 : -1;
    while (got > 0 && buf_span(out).len <= YTREE_BYTES_MAX) {
        size_t room = YTREE_BYTES_MAX + 1 - buf_span(out).len;
        uint8_t *at = buf_reserve(out, room < 65536 ? room : 65536);
        if (at == NULL) {
            l->out_of_memory = true;
            break;
        }
        got = read(fd, at, room < 65536 ? room : 65536);
        why = got < 0 ? strerrordesc_np(errno) : why;
        buf_added(out, got > 0 ? (size_t)got : 0);
    }
    if (got < 0) {
        settings_note_unread(l);
    }
    if (got < 0 && errno == ENOENT && l->file == &l->main) {
        settings_problem(l, whole, "there is no such file; `atlas init --config %s` makes one",
                         l->file->name);
    } else if (got < 0) {
        settings_problem(l, whole, "cannot be read: %s", why);
    }
    if (fd >= 0) {
        (void)close(fd); /* only read from */
    }
}

/* The absolute path of the file and of the folder it is in. */
static void find_folder(struct settings_loader *l, const char **out)
{
    char *path = realpath(l->file->name, NULL);
    if (path == NULL) {
        settings_problem(l, (struct ytree_place){0, 0}, "cannot be found: %s",
                         strerrordesc_np(errno));
        return;
    }
    struct span copy = arena_copy(l->arena, span_of(path));
    char *slash = strrchr(path, '/');
    size_t folder_len = slash == path ? 1 : (size_t)(slash - path);
    struct span folder = arena_copy(l->scratch, span_make(path, folder_len));
    *out = (const char *)copy.at;
    l->file->folder = (const char *)folder.at;
    l->out_of_memory = l->out_of_memory || copy.at == NULL || folder.at == NULL;
    free(path); /* realpath() took it from malloc() */
}

static void read_tree(struct settings_loader *l, struct span text, bool data_only)
{
    struct ytree_problem problem;
    struct ytree_problem again;
    enum err e = ytree_parse(text, l->scratch, &problem, &l->file->root);
    struct span line = settings_data_line(text);
    if (e == ERR_CONFIG && data_only && line.len > 0) {
        e = ytree_parse(line, l->scratch, &again, &l->file->root);
    }
    if (e == ERR_CONFIG) {
        settings_problem(l, problem.place, "%s", problem.sentence);
    }
    l->out_of_memory = l->out_of_memory || e == ERR_NO_MEMORY;
}

/* Reads l->file into its tree. `*path`: where it is, absolute. */
static void read_whole(struct settings_loader *l, const char **path, bool data_only)
{
    struct buf text;
    buf_init(&text, YTREE_BYTES_MAX + 1);
    read_file(l, &text);
    if (goes_on(l)) {
        find_folder(l, path);
    }
    if (goes_on(l)) {
        read_tree(l, buf_span(&text), data_only);
    }
    if (goes_on(l) && !data_only && l->file != &l->catalogue) { /* what it says is in the models */
        settings_keep_text(l, buf_span(&text));
    }
    if (text.at != NULL) {
        explicit_bzero(text.at, text.cap); /* an api_key may be written in the file itself */
    }
    buf_fini(&text);
}

/* Reads the models from the file that holds them. */
static void load_models(struct settings_loader *l)
{
    const struct ytree_node *here = ytree_find(l->main.root, "models");
    if (here != NULL) {
        settings_problem(l, here->key_place,
                         "models stand in %s (models_file); leave them out here, or models_file",
                         l->settings->models_file);
        return;
    }
    const char *path;
    l->models.name = l->settings->models_file;
    l->models.table = &settings_models;
    l->file = &l->models;
    read_whole(l, &path, false);
    if (goes_on(l)) {
        settings_read(l);
    }
    l->file = &l->main;
}

/* Reads the catalogue that Atlas brings, and what the operator adds to it. */
static void load_catalogue(struct settings_loader *l)
{
    const char *path;
    l->catalogue.name = l->settings->catalogue_file;
    l->catalogue.table = &settings_entries;
    if (l->catalogue.name != NULL) {
        l->file = &l->catalogue;
        read_whole(l, &path, false);
        l->file = &l->main;
    }
    if (goes_on(l)) {
        settings_read_catalogue(l);
    }
}

/* Each step only when the one before it had nothing to say, but the check: it finds more. */
static void load(struct settings_loader *l, enum extent extent)
{
    l->file = &l->main;
    if (extent == CATALOGUE_ONLY) {
        load_catalogue(l);
        return;
    }
    read_whole(l, &l->settings->path, extent == DATA_ONLY);
    if (!goes_on(l)) {
        return;
    }
    settings_default(l, NULL, (char *)l->settings);
    if (extent == DATA_ONLY) {
        settings_read_data(l);
        return;
    }
    settings_read(l);
    if (goes_on(l) && l->settings->models_file != NULL) {
        load_models(l);
    }
    if (!l->out_of_memory) {
        settings_check(l);
    }
    if (goes_on(l)) {
        load_catalogue(l);
    }
    if (goes_on(l)) {
        settings_take_from_catalogue(l);
    }
    if (goes_on(l)) {
        settings_read_routing(l);
    }
    if (!l->out_of_memory && extent == WITH_FILES) {
        settings_check_files(l);
    }
}

static enum err open_settings(const char *path, enum extent extent, const char *rules,
                              struct buf *problems, struct settings **out)
{
    struct settings_box *box = memory_new(sizeof(*box));
    struct settings_loader *l = memory_new(sizeof(*l));
    struct arena scratch;
    if (box == NULL || l == NULL) {
        memory_free(box);
        memory_free(l);
        return ERR_NO_MEMORY;
    }
    arena_init(&box->arena, ARENA_BYTES_MAX);
    arena_init(&scratch, ARENA_BYTES_MAX);
    l->main.name = path;
    l->main.table = &settings_main;
    l->arena = &box->arena;
    l->scratch = &scratch;
    l->settings = &box->settings;
    l->routing_problems = problems;
    l->rules = rules;
    load(l, extent);
    enum err e = l->out_of_memory                               ? ERR_NO_MEMORY
                 : l->out_of_files                              ? ERR_NO_FILES
                 : l->problems_count > 0 || l->routing_is_wrong ? ERR_CONFIG
                                                                : ERR_OK;
    if (e == ERR_CONFIG) {
        report(l, problems);
    }
    arena_fini(&scratch);
    memory_free(l);
    struct settings *settings = &box->settings;
    if (e == ERR_OK) {
        *out = settings;
    } else {
        settings_close(&settings);
    }
    return e;
}

enum err settings_open(const char *path, struct buf *problems, struct settings **out)
{
    return open_settings(path, SETTINGS_ONLY, NULL, problems, out);
}

enum err settings_open_with_rules(const char *path, const char *rules, struct buf *problems,
                                  struct settings **out)
{
    return open_settings(path, SETTINGS_ONLY, rules, problems, out);
}

enum err settings_open_whole(const char *path, struct buf *problems, struct settings **out)
{
    return open_settings(path, WITH_FILES, NULL, problems, out);
}

enum err settings_open_data(const char *path, struct buf *problems, struct settings **out)
{
    return open_settings(path, DATA_ONLY, NULL, problems, out);
}

enum err settings_open_catalogue(struct buf *problems, struct settings **out)
{
    return open_settings("", CATALOGUE_ONLY, NULL, problems, out);
}

void settings_close(struct settings **s)
{
    if (*s == NULL) {
        return;
    }
    struct settings_box *box = (struct settings_box *)*s;
    for (size_t i = 0; i < box->settings.upstream.definitions_count; i++) {
        const char *secret = box->settings.upstream.definitions[i].api_key.text;
        if (secret != NULL) {
            explicit_bzero((char *)(uintptr_t)secret, strlen(secret));
        }
    }
    routing_unref(&box->settings.gateway.routing);
    guard_policy_unref(&box->settings.gateway.guard_policy);
    arena_fini(&box->arena);
    memory_free(box);
    *s = NULL;
}

const struct server_listen *settings_listen(const struct settings *s, size_t i)
{
    size_t count = s->server.listens_count;
    return i < count ? &s->server.listens[i] : i == count ? &s->admin.listen : NULL;
}

int settings_workers(const struct settings *s)
{
    int64_t cores = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t workers = s->gateway.workers > 0 ? s->gateway.workers : cores;
    workers = workers < 1 ? 1 : workers;
    return (int)(workers < SETTINGS_WORKERS_MAX ? workers : SETTINGS_WORKERS_MAX);
}

int64_t settings_files_beside(const struct settings *s)
{
    return FILES_OF_PROCESS + FILES_OF_WORKER * (int64_t)settings_workers(s);
}
