/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A struct settings and the arena that holds all it points to are one allocation. The YAML tree and
 * the texts of problems live in a second arena, which ends with settings_open().
 */
#include "settings/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "settings/settings_internal.h"

#define ARENA_BYTES_MAX  (256u << 20)
#define FILES_OF_PROCESS 256 /* logs, the journal, the store, the admin's clients */
#define FILES_OF_WORKER  72  /* its loop and listeners, and those that are told 503 */

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
        l->problems[l->problems_count] = (struct settings_problem){place, (const char *)kept.at};
    }
    l->problems_count++;
}

static int by_place(const void *a, const void *b)
{
    const struct settings_problem *x = a;
    const struct settings_problem *y = b;
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
        if (p->place.line == 0) {
            buf_printf(out, "%s: %s\n", l->file, p->sentence);
        } else {
            buf_printf(out, "%s:%u:%u: %s\n", l->file, p->place.line, p->place.column, p->sentence);
        }
    }
    if (l->problems_count > kept) {
        buf_printf(out, "%s: and %zu more\n", l->file, l->problems_count - kept);
    }
}

/* Reads the whole file into `out`, whose maximum is a byte more than a file may have. */
static void read_file(struct settings_loader *l, struct buf *out)
{
    const struct ytree_place whole = {0, 0};
    int fd = open(l->file, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0 && buf_span(out).len <= YTREE_BYTES_MAX) {
        size_t room = YTREE_BYTES_MAX + 1 - buf_span(out).len;
        uint8_t *at = buf_reserve(out, room < 65536 ? room : 65536);
        if (at == NULL) {
            l->out_of_memory = true;
            break;
        }
        got = read(fd, at, room < 65536 ? room : 65536);
        buf_added(out, got > 0 ? (size_t)got : 0);
    }
    if (got < 0 && errno == ENOENT) {
        settings_problem(l, whole, "there is no such file; `atlas init --config %s` makes one",
                         l->file);
    } else if (got < 0) {
        settings_problem(l, whole, "cannot be read: %s", strerrordesc_np(errno));
    }
    if (fd >= 0) {
        (void)close(fd); /* only read from */
    }
}

/* The absolute path of the file and of the folder it is in. */
static void find_folder(struct settings_loader *l)
{
    char *path = realpath(l->file, NULL);
    if (path == NULL) {
        settings_problem(l, (struct ytree_place){0, 0}, "cannot be found: %s",
                         strerrordesc_np(errno));
        return;
    }
    struct span copy = arena_copy(l->arena, span_of(path));
    char *slash = strrchr(path, '/');
    size_t folder_len = slash == path ? 1 : (size_t)(slash - path);
    struct span folder = arena_copy(l->scratch, span_make(path, folder_len));
    l->settings->path = (const char *)copy.at;
    l->folder = (const char *)folder.at;
    l->out_of_memory = l->out_of_memory || copy.at == NULL || folder.at == NULL;
    free(path); /* realpath() took it from malloc() */
}

static void read_tree(struct settings_loader *l, struct span text)
{
    struct ytree_problem problem;
    enum err e = ytree_parse(text, l->scratch, &problem, &l->root);
    if (e == ERR_CONFIG) {
        settings_problem(l, problem.place, "%s", problem.sentence);
    }
    l->out_of_memory = l->out_of_memory || e == ERR_NO_MEMORY;
}

/* Each step only when the one before it had nothing to say, but the check: it finds more. */
static void load(struct settings_loader *l, struct buf *text)
{
    read_file(l, text);
    if (l->problems_count == 0 && !l->out_of_memory) {
        find_folder(l);
    }
    if (l->problems_count == 0 && !l->out_of_memory) {
        read_tree(l, buf_span(text));
    }
    if (l->problems_count == 0 && !l->out_of_memory) {
        settings_read(l);
        if (!l->out_of_memory) {
            settings_check(l);
        }
    }
    if (text->at != NULL) {
        explicit_bzero(text->at, text->cap); /* an api_key may be written in the file itself */
    }
}

enum err settings_open(const char *path, struct buf *problems, struct settings **out)
{
    struct settings_box *box = memory_new(sizeof(*box));
    struct settings_loader *l = memory_new(sizeof(*l));
    struct arena scratch;
    struct buf text;
    if (box == NULL || l == NULL) {
        memory_free(box);
        memory_free(l);
        return ERR_NO_MEMORY;
    }
    arena_init(&box->arena, ARENA_BYTES_MAX);
    arena_init(&scratch, ARENA_BYTES_MAX);
    buf_init(&text, YTREE_BYTES_MAX + 1);
    l->file = path;
    l->arena = &box->arena;
    l->scratch = &scratch;
    l->settings = &box->settings;
    load(l, &text);
    enum err e = l->out_of_memory ? ERR_NO_MEMORY : (l->problems_count > 0 ? ERR_CONFIG : ERR_OK);
    if (e == ERR_CONFIG) {
        report(l, problems);
    }
    buf_fini(&text);
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
    arena_fini(&box->arena);
    memory_free(box);
    *s = NULL;
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
