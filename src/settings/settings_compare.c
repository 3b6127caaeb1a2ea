/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "settings/settings.h"
#include "settings/settings_table.h"

/* Whether the texts at two `const char *` fields differ. */
static bool texts_differ(const void *a, const void *b)
{
    const char *x;
    const char *y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    if (x == NULL || y == NULL) {
        return x != y;
    }
    return strcmp(x, y) != 0;
}

static bool fields_differ(const struct settings_row *row, const void *a, const void *b)
{
    switch (row->kind) {
    case SETTINGS_TEXT:
    case SETTINGS_LABEL:
    case SETTINGS_PATH:
    case SETTINGS_DATA_PATH:
    case SETTINGS_ADDRESS:
    case SETTINGS_URL:
    case SETTINGS_SECRET:
        return texts_differ(a, b);
    case SETTINGS_BOOL:
        return memcmp(a, b, sizeof(bool)) != 0;
    case SETTINGS_CHOICE:
    case SETTINGS_CHOICES:
        return memcmp(a, b, sizeof(uint32_t)) != 0;
    case SETTINGS_COUNT:
    case SETTINGS_SIZE:
    case SETTINGS_DURATION:
    case SETTINGS_SECONDS:
    case SETTINGS_PRICE:
    case SETTINGS_MOMENT:
        return memcmp(a, b, sizeof(int64_t)) != 0;
    case SETTINGS_CURRENCY:
        return strcmp(a, b) != 0;
    case SETTINGS_TEXTS:
    case SETTINGS_PAIRS:
        break;
    }
    NEVER("a list that takes effect with a restart");
}

/* TLS or not, and where; which certificates is a reload's. */
static bool listen_differs(const struct server_listen *x, const struct server_listen *y)
{
    return strcmp(x->address, y->address) != 0 || (x->tls_key == NULL) != (y->tls_key == NULL);
}

static bool listens_differ(const struct server_settings *a, const struct server_settings *b)
{
    bool differ = a->listens_count != b->listens_count;
    for (size_t i = 0; i < a->listens_count && !differ; i++) {
        differ = listen_differs(&a->listens[i], &b->listens[i]);
    }
    return differ;
}

void settings_restart_needed(const struct settings *in_force, const struct settings *next,
                             struct buf *out)
{
    const char *comma = "";
    if (listens_differ(&in_force->server, &next->server)) {
        buf_put_text(out, "listen");
        comma = ", ";
    }
    if ((in_force->admin.listen.tls_key == NULL) != (next->admin.listen.tls_key == NULL)) {
        buf_printf(out, "%sadmin.tls", comma);
        comma = ", ";
    }
    const struct settings_table *t = &settings_main;
    for (size_t i = 0; i < t->rows_count; i++) {
        const struct settings_row *row = &t->rows[i];
        if (row->takes != SETTINGS_RESTART || settings_collection_of(t, row->path) != NULL) {
            continue;
        }
        const char *a = (const char *)in_force + row->offset;
        const char *b = (const char *)next + row->offset;
        if (fields_differ(row, a, b)) {
            buf_printf(out, "%s%s", comma, row->path);
            comma = ", ";
        }
    }
}
