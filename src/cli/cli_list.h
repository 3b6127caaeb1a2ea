/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_list.h — all of a list of the admin API, page by page, so that whoever has something urgent
 * gets between two of them.
 *
 * Ownership  the list is the caller's buffer.
 * Threads    the main thread.
 * Sources    docs/formats/admin-api.md.
 */
#ifndef CLI_CLI_LIST_H
#define CLI_CLI_LIST_H

#include "base/buf.h"

/*
 * Asks for the list at `path`, with what `query` says, until there is no more, and puts one list of
 * all into `all`: {"object":"list","data":[…],"has_more":false,"next_cursor":null}. CLI_GO_ON, or
 * the exit status after it has said what is wrong, as cli_ask().
 */
int cli_list_all(const char *command, const char *config, struct span path, struct span query,
                 struct buf *all);

#endif
