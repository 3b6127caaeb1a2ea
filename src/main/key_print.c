/* SPDX-License-Identifier: Apache-2.0 */
#include "main/key_print.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli_options.h"
#include "json/json_value.h"

#define ROWS_MAX  1024 /* values of a key: models, networks and tags are lists */
#define DEPTH_MAX 4

int main_key_print(const char *command, struct span line, const char *more)
{
    printf("%.*s\n", SPAN_ARGS(line));
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return CLI_DONE;
    }
    fprintf(stderr, "atlas %s: the output cannot be written: %s%s\n", command,
            strerrordesc_np(errno), more);
    return CLI_FAILED;
}

int main_key_print_text(const char *command, struct span answer, const char *more)
{
    struct json_index x;
    json_index_init(&x, ROWS_MAX, DEPTH_MAX);
    enum err e = json_index_parse_borrow(&x, answer);
    uint32_t key = e == ERR_OK ? json_find(&x, 0, SPAN("key")) : JSON_NONE;
    int status = CLI_FAILED;
    if (key == JSON_NONE) {
        fprintf(stderr, "atlas %s: the key cannot be read from the answer%s%s%s\n", command,
                e == ERR_OK ? "" : ": ", e == ERR_OK ? "" : err_sentence(e), more);
    } else { /* Base62 and "_": nothing is escaped */
        status = main_key_print(command, json_inside(&x, key), more);
    }
    json_index_fini(&x);
    if (status == CLI_DONE && isatty(STDOUT_FILENO) && isatty(STDERR_FILENO)) {
        fprintf(stderr, "keep it: it is not shown again\n");
    }
    return status;
}
