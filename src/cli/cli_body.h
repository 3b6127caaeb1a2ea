/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_body.h — the options of a command as the body of a request to the admin API.
 *
 * An option's row names the member that it makes ("limits.burst": a member of a part); what kind of
 * value that is, admin_objects.def says. A list's option takes names with commas between and may be
 * given again; a tag's takes one "name=value" each time; a time is "12h" or "30d" from now, a day,
 * or RFC 3339. The word that stands for nothing is the row's.
 *
 * Ownership  nothing is kept.
 * Limits     the body ADMIN_BODY_BYTES_MAX.
 * Threads    the main thread.
 * Sources    docs/formats/admin-api.md.
 */
#ifndef CLI_CLI_BODY_H
#define CLI_CLI_BODY_H

#include "admin/admin_objects.h"
#include "base/buf.h"
#include "cli/cli_options.h"

struct cli_body {
    const char *command; /* "team create": for what is said of mistakes */
    const struct cli_option *options;
    enum admin_object object;
    const char *leave_out; /* a member that it shall not have; NULL: none */
    const void *given;
    size_t members; /* out: how many it has */
};

/*
 * Writes the members of those options that were given to `out`, which it makes and the caller ends.
 * The members of a part stand one behind the other in the table. CLI_GO_ON, or CLI_MISUSED or
 * CLI_FAILED after it has said what is wrong.
 */
int cli_body_write(struct cli_body *body, struct buf *out);

#endif
