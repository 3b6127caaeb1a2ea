/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_noun.h — create, list, show, edit and end, for each noun of the admin API.
 *
 * Ownership  nothing is kept.
 * Threads    the main thread.
 * Sources    docs/formats/admin-api.md.
 */
#ifndef MAIN_MAIN_NOUN_H
#define MAIN_MAIN_NOUN_H

#include "admin/admin_operations.h"
#include "main/main_given.h"

#define MAIN_NOUN_PATH_BYTES 1024

struct main_noun {
    const char *path; /* "/admin/v1/teams" */
    enum admin_object object;
    const char *none; /* what is said of an empty list */
};

/* One command of a noun. */
struct main_act {
    const char *command; /* "team create" */
    const struct main_noun *noun;
    const struct cli_option *options;
    const struct main_given *given;
};

/* The function of a command that does one of these with its table `<function>_options`. */
#define MAIN_ACT(function, said, noun, verb)                                    \
    int function(const void *given)                                             \
    {                                                                           \
        const struct main_act act = {said, &(noun), function##_options, given}; \
        return main_noun_##verb(&act);                                          \
    }

/* All five of a noun whose word the program's functions have in their names. */
#define MAIN_ACTS(word, noun)                                     \
    MAIN_ACT(main_##word##_create, #word " create", noun, create) \
    MAIN_ACT(main_##word##_list, #word " list", noun, list)       \
    MAIN_ACT(main_##word##_show, #word " show", noun, show)       \
    MAIN_ACT(main_##word##_edit, #word " edit", noun, edit)       \
    MAIN_ACT(main_##word##_end, #word " end", noun, end)

/* Each does it and prints the answer. The exit status. */
int main_noun_create(const struct main_act *act);
int main_noun_list(const struct main_act *act);
int main_noun_show(const struct main_act *act);
int main_noun_edit(const struct main_act *act);
int main_noun_end(const struct main_act *act);

/* Writes the path of what `id` names: an id, or a name. CLI_GO_ON, or CLI_MISUSED after it has
 * said why. */
int main_noun_path(const struct main_act *act, const char *id, char out[MAIN_NOUN_PATH_BYTES]);

/* Asks with a body, which may be empty, and prints the answer. The exit status. */
int main_noun_ask(const struct main_act *act, enum http_method method, struct span path,
                  struct span body);

/* Prints an object that is the answer to a command. The exit status. */
int main_noun_print(const struct main_act *act, struct span answer);

/* Writes the body that the options make. CLI_GO_ON, or the exit status when there is nothing in it,
 * or it cannot be written, which is said. `leave_out`: cli_body.h. */
int main_noun_body(const struct main_act *act, const char *leave_out, struct buf *out);

#endif
