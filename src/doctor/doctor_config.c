/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration's own file: its settings do not tell any more whether a key or a URL stood
 * there or a variable's name, so the text is looked at.
 */
#include <string.h>
#include <sys/stat.h>

#include "doctor/doctor_internal.h"

#define FILE_BYTES_MAX (1u << 20) /* no configuration is larger */

/* Whether what follows `api_key` on a line is a value that says the key itself. */
static bool is_plain_value(struct span rest)
{
    size_t at = 0;
    while (at < rest.len && strchr("\"' \t:", rest.at[at]) != NULL) {
        at++;
    }
    rest = span_cut(rest, at, rest.len);
    return rest.len > 0 && rest.at[0] != '#' && rest.at[0] != ',' && rest.at[0] != '}' &&
           !span_starts(rest, SPAN("file:")) && span_find(rest, '$', 0) == rest.len;
}

/* The number of the first line that has a key in it; 0: none. */
static unsigned find_plain_key(FILE *file)
{
    static const char name[] = "api_key";
    char line[8192];
    for (unsigned number = 1; fgets(line, sizeof(line), file) != NULL; number++) {
        const char *found = strstr(line, name);
        const char *comment = strchr(line, '#');
        line[strcspn(line, "\r\n")] = '\0';
        if (found != NULL && (comment == NULL || found < comment) &&
            is_plain_value(span_of(found + sizeof(name) - 1))) {
            return number;
        }
    }
    return 0;
}

static FILE *open_config(const struct doctor *d)
{
    return fopen(d->settings->path, "re");
}

const char *doctor_shown_url(const struct doctor *d, const char *url)
{
    char line[8192];
    bool is_written = false;
    FILE *file = open_config(d);
    while (file != NULL && !is_written && fgets(line, sizeof(line), file) != NULL) {
        is_written = strstr(line, url) != NULL;
    }
    if (file != NULL) {
        (void)fclose(file); /* only read from */
    }
    return is_written ? url : "its `url:`";
}

void doctor_check_config_file(struct doctor *d)
{
    const char *path = d->settings->path;
    struct stat st;
    FILE *file = open_config(d);
    if (file != NULL && fstat(fileno(file), &st) == 0 && (st.st_mode & 0044) != 0 &&
        st.st_size <= FILE_BYTES_MAX) {
        unsigned line = find_plain_key(file);
        if (line > 0) {
            doctor_say(d, DOCTOR_WARN, "configuration",
                       "other users may read %s, and line %u holds a key — chmod 600 it, or write "
                       "`api_key: ${NAME}` or `file:PATH`",
                       path, line);
        }
    }
    if (file != NULL) {
        (void)fclose(file); /* only read from */
    }
}
