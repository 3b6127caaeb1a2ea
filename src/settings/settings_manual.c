/* SPDX-License-Identifier: Apache-2.0 */
/* The man page of the configuration. */
#include <string.h>

#include "settings/settings_table.h"
#include "settings/settings_write.h"

/* Text that troff takes for text: no escape, and no request at a line's beginning. */
static void put(struct buf *out, struct span text)
{
    if (text.len > 0 && (text.at[0] == '.' || text.at[0] == '\'')) {
        buf_put_text(out, "\\&");
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\\' || text.at[i] == '-') {
            buf_put_text(out, text.at[i] == '-' ? "\\-" : "\\e");
        } else {
            buf_put_byte(out, text.at[i]);
        }
    }
}

static void put_row(const struct settings_row *row, struct buf *out)
{
    struct buf takes;
    buf_init(&takes, 1024);
    settings_describe(row, &takes);
    buf_put_text(out, ".TP\n\\fB");
    put(out, span_of(row->path));
    buf_put_text(out, "\\fR\n");
    put(out, span_of(row->help));
    buf_put_text(out, ".\n.br\nTakes ");
    put(out, buf_span(&takes));
    buf_put_text(out, row->fallback == NULL ? "; must be given" : "; default ");
    if (row->fallback != NULL) {
        put(out, row->fallback[0] == '\0' ? SPAN("none") : span_of(row->fallback));
    }
    buf_put_text(out, row->takes == SETTINGS_RELOAD ? "; changes with a reload.\n"
                                                    : "; changes with a restart.\n");
    buf_fini(&takes);
}

/* A collection within another, or within a section. */
static void put_collection(const struct settings_collection *c, struct buf *out)
{
    buf_put_text(out, ".TP\n\\fB");
    put(out, span_of(c->path));
    buf_put_text(out, "\\fR\n");
    put(out, span_of(c->help));
    buf_printf(out, ".\n.br\nTakes a %s, at most %zu; default none; changes with a reload.\n",
               settings_is_list(c) ? "list" : "mapping", c->most);
}

static void put_rows(struct buf *out)
{
    const struct settings_collection *inner = NULL;
    for (size_t i = 0; i < settings_main.rows_count; i++) {
        const struct settings_row *row = &settings_main.rows[i];
        const struct settings_collection *own = settings_collection_of(&settings_main, row->path);
        if (own != inner && own != NULL && strchr(own->path, '.') != NULL) {
            put_collection(own, out);
        }
        inner = own;
        put_row(row, out);
    }
}

void settings_write_manual(struct buf *out)
{
    buf_put_text(out,
                 ".SH NAME\natlas.yaml \\- the configuration of Atlas\n.SH DESCRIPTION\n"
                 "One YAML file. a.b is the key b in the section a; a[].b stands in each item of "
                 "the list a;\na.*.b in each entry of the mapping a, whose keys you choose.\n"
                 "A reload is SIGHUP. Any text may hold ${NAME}, the value of an environment "
                 "variable\n($${ for the characters themselves), or be file:PATH, the contents "
                 "of a file.\n\\fBatlas config sample\\fR prints a file with every setting, "
                 "\\fBatlas config check\\fR says what is wrong with one.\n.SH SETTINGS\n");
    put_rows(out);
    buf_put_text(out, ".SH SEE ALSO\n\\fBatlas\\fR(1)\n");
}
