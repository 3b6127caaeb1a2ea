/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_ask.h — an operator's request, put to the running gateway or else to the data folder itself.
 *
 * Who holds the data folder's lock decides: a gateway holds it alone, and is asked over its socket;
 * else the command holds it, shared with its like, while it works on the store.
 *
 * Ownership  the answer is the caller's buffer; wipe it after a key was made.
 * Threads    the main thread.
 */
#ifndef CLI_CLI_ASK_H
#define CLI_CLI_ASK_H

#include "admin/admin_operations.h"

#define CLI_ANSWER_MAX (1u << 30)

/*
 * Asks, with the configuration at `config`. CLI_GO_ON with the answer's JSON in `answer`, or the
 * exit status (cli/cli_options.h) after it has said on standard error, as "atlas COMMAND: …", what
 * is wrong.
 */
int cli_ask(const char *command, const char *config, const struct admin_request *request,
            struct buf *answer);

/* The same; but that there is no such thing is an answer, too: `*is_none` is true then, and what is
 * in `answer` means nothing. */
int cli_ask_or_none(const char *command, const char *config, const struct admin_request *request,
                    struct buf *answer, bool *is_none);

#endif
