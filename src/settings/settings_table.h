/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings_table.h — settings.def as data: what there is to set, and what each setting takes. A
 * file of another form (models.yaml) has a table of its own over the same struct settings.
 *
 * Ownership  all of it is constant.
 * Threads    any.
 */
#ifndef SETTINGS_SETTINGS_TABLE_H
#define SETTINGS_SETTINGS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

#define SETTINGS_TEXT_BYTES_MAX  4096
#define SETTINGS_LABEL_BYTES_MAX 128

/* What a setting takes, and the type of its field. */
enum settings_kind {
    SETTINGS_TEXT,      /* const char *: without control characters */
    SETTINGS_LABEL,     /* const char *: visible ASCII, fit for a header */
    SETTINGS_PATH,      /* const char *: made absolute from the configuration's folder */
    SETTINGS_DATA_PATH, /* const char *: made absolute from the data folder; "-" stays, "off" is
                           NULL */
    SETTINGS_ADDRESS,   /* const char *: what net_address_parse() takes */
    SETTINGS_URL,       /* const char *: http or https, without a final '/' */
    SETTINGS_SECRET,    /* struct secret */
    SETTINGS_TEXTS,     /* struct texts */
    SETTINGS_PAIRS,     /* struct pairs: names that the operator chooses; `least` is an example */
    SETTINGS_BOOL,      /* bool */
    SETTINGS_COUNT,     /* int64_t */
    SETTINGS_SIZE,      /* int64_t, bytes: "64KiB" */
    SETTINGS_DURATION,  /* int64_t, milliseconds: "250ms", "10s", "5m", "1h", "1d" */
    SETTINGS_SECONDS,   /* int64_t, seconds; written as a duration */
    SETTINGS_PRICE,     /* int64_t, billionths: "0.20" */
    SETTINGS_MOMENT,    /* wall_us: a day or a time of RFC 3339; `least` is an example */
    SETTINGS_CURRENCY,  /* char[4]: "USD" */
    SETTINGS_CHOICE,    /* an enum: one of the names in `least`, which stand in its order */
    SETTINGS_CHOICES    /* uint32_t: a bit each of the names in `least` */
};

enum settings_takes { SETTINGS_RELOAD, SETTINGS_RESTART };

/* A row of settings.def; `offset` is in struct settings, or in the struct of the collection. */
struct settings_row {
    const char *path;
    enum settings_kind kind;
    size_t offset;
    const char *fallback, *least, *most;
    enum settings_takes takes;
    const char *help;
};

/* A list or a mapping of structs, each of which may hold further ones. */
struct settings_collection {
    const char *path;  /* "listen[]", "upstreams.*", "listen[].tls.sni[]" */
    size_t item_bytes; /* of the struct */
    size_t offset; /* in struct settings, or the struct around it: of the pointer to the items */
    size_t count_offset; /* likewise, of their count */
    size_t name_offset;  /* in the struct, of the field that holds the key, in a mapping */
    size_t most;         /* items */
    const char *example; /* key for the sample */
    const char *help;
};

struct settings_section {
    const char *path;
    const char *help;
};

/* What may stand in one kind of file. */
struct settings_table {
    const struct settings_row *rows;
    const struct settings_collection *collections;
    const struct settings_section *sections;
    size_t rows_count, collections_count, sections_count;
};

extern const struct settings_table settings_main;    /* atlas.yaml */
extern const struct settings_table settings_models;  /* what models_file names */
extern const struct settings_table settings_entries; /* what catalogue names */

/* The row or section whose path is `path`, or NULL. */
const struct settings_row *settings_row_find(const struct settings_table *t, const char *path);
const struct settings_section *settings_section_find(const struct settings_table *t,
                                                     const char *path);

/* The collection whose key stands at `path` ("listen", "listen[].tls.sni"), or NULL. */
const struct settings_collection *settings_collection_find(const struct settings_table *t,
                                                           const char *path);

/* Whether `path` is a section: the path of some setting goes on from it with a dot. */
bool settings_is_section(const struct settings_table *t, const char *path);

/* Whether the collection is a list: its items have no key. */
bool settings_is_list(const struct settings_collection *c);

/* The innermost collection that the setting at `path` belongs to, or NULL. */
const struct settings_collection *settings_collection_of(const struct settings_table *t,
                                                         const char *path);

/* Puts what a choice has: "vllm, sglang". */
void settings_put_choices(const struct settings_row *row, struct buf *out);

/* Puts what the row takes in words: "a duration (ms, s, m, h, d) from 100ms to 10m". */
void settings_describe(const struct settings_row *row, struct buf *out);

#endif
