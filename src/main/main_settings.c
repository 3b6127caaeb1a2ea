/* SPDX-License-Identifier: Apache-2.0 */
#include "main/main_settings.h"

#include <stdio.h>

#define PROBLEMS_BYTES_MAX (128u << 10)

struct settings *main_settings_read(const char *path)
{
    struct buf problems;
    struct settings *settings = NULL;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open(path, &problems, &settings);
    if (e == ERR_CONFIG) {
        fprintf(stderr, "%.*s", SPAN_ARGS(buf_span(&problems)));
    } else if (e != ERR_OK) {
        fprintf(stderr, "%s: %s\n", path, err_sentence(e));
    }
    buf_fini(&problems);
    return settings;
}
