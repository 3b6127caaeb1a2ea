/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_body.h — what `atlas key create` and `atlas key change` ask for, as the body of a request;
 * and what they print.
 *
 * Ownership  nothing is kept.
 * Threads    the main thread.
 * Sources    docs/formats/admin-api.md.
 */
#ifndef MAIN_KEY_BODY_H
#define MAIN_KEY_BODY_H

#include "base/buf.h"

/* What was given on the command line; NULL: it was not. */
struct main_key_body {
    const char *action; /* "create": for what is said of mistakes */
    const char *name;
    const char *expires; /* "12h", "30d" from now, or "never" */
    const char *scopes;  /* "chat,models" */
    const char *kind;    /* "live" */
    const char *role;    /* "auditor" */
    const char *team;    /* a team's id */
};

/* Writes the body. CLI_GO_ON, or the exit status after it has said what is wrong. */
int main_key_body_write(const struct main_key_body *body, struct buf *out);

/* Prints a line and sees to it that all that was printed has gone out: CLI_DONE; else it says so,
 * with `more` behind, and CLI_FAILED. */
int main_key_print(const char *action, struct span line, const char *more);

#endif
