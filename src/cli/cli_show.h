/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_show.h — objects of the admin API for people, by admin_objects.def: one as a line a member, a
 * list as a table of the members that are columns.
 *
 * Ownership  nothing is kept.
 * Threads    the main thread.
 */
#ifndef CLI_CLI_SHOW_H
#define CLI_CLI_SHOW_H

#include "admin/admin_objects.h"
#include "base/span.h"

/* Prints an object: its members in the table's order, of a part those that say something. CLI_DONE,
 * or CLI_FAILED after it has said, as "atlas COMMAND: …", what is wrong. */
int cli_show_object(const char *command, enum admin_object object, struct span answer);

/* Prints a list; for an empty one it says `none` on standard error. The same. */
int cli_show_list(const char *command, enum admin_object object, struct span answer,
                  const char *none);

/* Prints JSON as it is, on a line. The same. */
int cli_show_json(const char *command, struct span answer);

#endif
