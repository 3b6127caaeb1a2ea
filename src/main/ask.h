/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.h — an operator's request, put to the running gateway or else to the data folder itself.
 *
 * Who holds the data folder's lock decides: a gateway holds it alone, and is asked over its socket;
 * else the command holds it, shared with its like, while it works on the store.
 *
 * Ownership  the answer is the caller's buffer; wipe it after a key was made.
 * Threads    the main thread.
 */
#ifndef MAIN_ASK_H
#define MAIN_ASK_H

#include "admin/admin_operations.h"

#define MAIN_ANSWER_MAX (1u << 30)

/*
 * Asks, with the configuration at `config`. MAIN_GO_ON with the answer's JSON in `answer`, or the
 * exit status (main/options.h) after it has said on standard error, as "atlas COMMAND: …", what is
 * wrong.
 */
int main_ask(const char *command, const char *config, const struct admin_request *request,
             struct buf *answer);

#endif
