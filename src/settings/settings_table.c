/* SPDX-License-Identifier: Apache-2.0 */
#include "settings/settings_table.h"

#include <string.h>

#include "settings/settings.h"

/* Each .def is read three times, each time for one of its three kinds of row. */

#define SECTION(path, help)
#define COLLECTION(path, owner, type, array, name, most, example, help)
#define SETTING(path, kind, type, field, fallback, least, most, takes, help)                       \
    {path, SETTINGS_##kind, offsetof(struct type, field), fallback, least, most, SETTINGS_##takes, \
     help},
static const struct settings_row main_rows[] = {
#include "settings/settings.def"
};
static const struct settings_row models_rows[] = {
#include "settings/settings_models.def"
};
static const struct settings_row entries_rows[] = {
#include "settings/settings_catalogue.def"
};
#undef SETTING
#undef COLLECTION

#define SETTING(path, kind, type, field, fallback, least, most, takes, help)
#define COLLECTION(path, owner, type, array, name, most, example, help) \
    {path,                                                              \
     sizeof(struct type),                                               \
     offsetof(struct owner, array),                                     \
     offsetof(struct owner, array##_count),                             \
     offsetof(struct type, name),                                       \
     most,                                                              \
     example,                                                           \
     help},
static const struct settings_collection main_collections[] = {
#include "settings/settings.def"
};
static const struct settings_collection models_collections[] = {
#include "settings/settings_models.def"
};
static const struct settings_collection entries_collections[] = {
#include "settings/settings_catalogue.def"
};
#undef COLLECTION
#undef SECTION

#define COLLECTION(path, owner, type, array, name, most, example, help)
#define SECTION(path, help) {path, help},
static const struct settings_section main_sections[] = {
#include "settings/settings.def"
};

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

const struct settings_table settings_main = {
    .rows = main_rows,
    .rows_count = COUNT_OF(main_rows),
    .collections = main_collections,
    .collections_count = COUNT_OF(main_collections),
    .sections = main_sections,
    .sections_count = COUNT_OF(main_sections),
};

const struct settings_table settings_models = {
    .rows = models_rows,
    .rows_count = COUNT_OF(models_rows),
    .collections = models_collections,
    .collections_count = COUNT_OF(models_collections),
};

const struct settings_table settings_entries = {
    .rows = entries_rows,
    .rows_count = COUNT_OF(entries_rows),
    .collections = entries_collections,
    .collections_count = COUNT_OF(entries_collections),
};

bool settings_is_list(const struct settings_collection *c)
{
    return c->path[strlen(c->path) - 1] == ']';
}

/* The length of the collection's own key: "listen[]" and "upstreams.*" end in two characters that
 * stand for any item. */
static size_t key_len(const struct settings_collection *c)
{
    return strlen(c->path) - 2;
}

const struct settings_row *settings_row_find(const struct settings_table *t, const char *path)
{
    for (size_t i = 0; i < t->rows_count; i++) {
        if (strcmp(t->rows[i].path, path) == 0) {
            return &t->rows[i];
        }
    }
    return NULL;
}

const struct settings_collection *settings_collection_find(const struct settings_table *t,
                                                           const char *path)
{
    for (size_t i = 0; i < t->collections_count; i++) {
        const struct settings_collection *c = &t->collections[i];
        if (strlen(path) == key_len(c) && strncmp(path, c->path, key_len(c)) == 0) {
            return c;
        }
    }
    return NULL;
}

const struct settings_section *settings_section_find(const struct settings_table *t,
                                                     const char *path)
{
    for (size_t i = 0; i < t->sections_count; i++) {
        if (strcmp(t->sections[i].path, path) == 0) {
            return &t->sections[i];
        }
    }
    return NULL;
}

bool settings_is_section(const struct settings_table *t, const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < t->rows_count; i++) {
        const char *row = t->rows[i].path;
        if (strncmp(row, path, len) == 0 && row[len] == '.') {
            return true;
        }
    }
    return false;
}

const struct settings_collection *settings_collection_of(const struct settings_table *t,
                                                         const char *path)
{
    const struct settings_collection *innermost = NULL;
    for (size_t i = 0; i < t->collections_count; i++) {
        const char *prefix = t->collections[i].path;
        if (strncmp(path, prefix, strlen(prefix)) == 0 &&
            (innermost == NULL || strlen(prefix) > strlen(innermost->path))) {
            innermost = &t->collections[i];
        }
    }
    return innermost;
}

void settings_put_choices(const struct settings_row *row, struct buf *out)
{
    for (const char *c = row->least; *c != '\0'; c++) {
        if (*c == '|') {
            buf_put_text(out, ", ");
        } else {
            buf_put_byte(out, (uint8_t)*c);
        }
    }
}

void settings_describe(const struct settings_row *row, struct buf *out)
{
    static const char *const words[] = {
        [SETTINGS_TEXT] = "text",
        [SETTINGS_LABEL] = "a name of 1 to 128 visible ASCII characters without spaces",
        [SETTINGS_PATH] = "a path",
        [SETTINGS_DATA_PATH] = "a path",
        [SETTINGS_ADDRESS] = "an address with its port, such as 127.0.0.1:8080 or [::1]:8080",
        [SETTINGS_URL] = "an http or https URL without query, such as http://127.0.0.1:8000/v1",
        [SETTINGS_SECRET] = "a secret: ${NAME}, file:PATH or the text itself, visible ASCII",
        [SETTINGS_TEXTS] = "a list of texts",
        [SETTINGS_PAIRS] = "a mapping of names, each with one value",
        [SETTINGS_BOOL] = "true or false",
        [SETTINGS_COUNT] = "a whole number",
        [SETTINGS_SIZE] = "a size (KiB, MiB, GiB, TiB)",
        [SETTINGS_DURATION] = "a duration (ms, s, m, h, d)",
        [SETTINGS_SECONDS] = "a duration (s, m, h, d)",
        [SETTINGS_PRICE] = "a decimal number",
        [SETTINGS_MOMENT] = ("a day (in UTC) or a time, such as 2027-01-01 or "
                             "2027-01-01T00:00:00+03:00"),
        [SETTINGS_CURRENCY] = "three capital letters of ISO 4217, such as USD",
        [SETTINGS_CHOICE] = "one of ",
        [SETTINGS_CHOICES] = "a list of some of ",
    };
    buf_put_text(out, words[row->kind]);
    if (row->kind == SETTINGS_CHOICE || row->kind == SETTINGS_CHOICES) {
        settings_put_choices(row, out);
    } else if (row->most[0] != '\0') {
        buf_printf(out, " from %s to %s", row->least, row->most);
    }
}
