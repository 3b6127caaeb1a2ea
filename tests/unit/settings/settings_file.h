/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings_file.h — a configuration that a test makes, opens and takes away.
 */
#ifndef TESTS_MAIN_SETTINGS_FILE_H
#define TESTS_MAIN_SETTINGS_FILE_H

#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/memory.h"
#include "settings/settings.h"

/* A folder with files; settings_file_end() removes them. */
struct settings_file {
    char folder[64];
    char path[96]; /* of the configuration */
    char other[96];
};

static inline void settings_file_put(const char *path, struct span text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text.at, 1, text.len, f), text.len);
    assert_int_equal(fclose(f), 0);
}

static inline void settings_file_setenv(const char *name, const char *value)
{
    assert_int_equal(setenv(name, value, 1), 0); // NOLINT(concurrency-mt-unsafe): one thread
}

static inline void settings_file_begin(struct settings_file *f)
{
    snprintf(f->folder, sizeof(f->folder), "/tmp/atlas-unit-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/a.yaml", f->folder);
    snprintf(f->other, sizeof(f->other), "%s/other", f->folder);
}

static inline void settings_file_end(struct settings_file *f)
{
    (void)unlink(f->path);  /* may not be there */
    (void)unlink(f->other); /* may not be there */
    assert_int_equal(rmdir(f->folder), 0);
}

/*
 * Opens `text` as a configuration. Returns what is wrong without the file's name ("1:1: …\n"), as a
 * text to free; empty: *out is set.
 */
static inline char *settings_file_open(struct settings_file *f, const char *text,
                                       struct settings **out)
{
    struct buf problems;
    buf_init(&problems, 1u << 20);
    settings_file_put(f->path, span_of(text));
    *out = NULL;
    enum err e = settings_open(f->path, &problems, out);
    assert_true(e == ERR_OK || e == ERR_CONFIG);
    assert_int_equal(e == ERR_OK, *out != NULL);
    struct span said = buf_span(&problems);
    assert_int_equal(e == ERR_OK, said.len == 0);
    char *shown = memory_new(said.len + 1);
    size_t at = 0;
    assert_non_null(shown);
    while (said.len > 0) {
        size_t line = span_find(said, '\n', 0) + 1;
        assert_true(span_starts(said, span_of(f->path)));
        size_t skip = strlen(f->path) + 1;
        memcpy(shown + at, said.at + skip, line - skip);
        at += line - skip;
        said = span_cut(said, line, said.len);
    }
    buf_fini(&problems);
    return shown;
}

#endif
