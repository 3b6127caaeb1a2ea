/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_table.h — a list in JSON as a table for people.
 *
 * Ownership  nothing is kept.
 * Limits     CLI_COLUMNS_MAX columns.
 * Threads    the main thread.
 */
#ifndef CLI_CLI_TABLE_H
#define CLI_CLI_TABLE_H

#include <stdio.h>

#include "base/err.h"
#include "base/span.h"

#define CLI_COLUMNS_MAX 32

#define CLI_RIGHT    1u /* a number: stands at the right */
#define CLI_OPTIONAL 2u /* left out where every row has `none` */
#define CLI_NANO     4u /* a number of billionths, shown with its point: 1500000000 as 1.50 */
#define CLI_MOMENT   8u /* seconds since 1970, shown as RFC 3339 */

#define CLI_MOMENT_BYTES 24

struct cli_column {
    const char *title;
    const char *member; /* of each object in the list */
    const char *none;   /* stands for null, "" and a member that is missing */
    unsigned look;      /* a set of CLI_RIGHT … below; 0: a text, at the left */
};

/*
 * Prints the member `data` of the JSON object `list`, an array of objects, a line each below the
 * titles. Control characters are shown as "?". `*lines` is how many objects there were; for none of
 * them nothing is printed.
 *
 *   ERR_BODY_NOT_JSON  the text is no such list
 *   ERR_NO_MEMORY
 */
MUST_USE enum err cli_table_print(FILE *out, struct span list, const struct cli_column *columns,
                                  size_t count, size_t *lines);

/* Writes seconds since 1970 as people read them: "2026-11-24T03:00:00Z". False: they are of no year
 * from 1970 to 9999. */
MUST_USE bool cli_moment(int64_t seconds, char out[CLI_MOMENT_BYTES]);

/* Prints text, with "?" for what a terminal would obey: C0, DEL and C1 (U+0080 to U+009F). */
void cli_put_text(FILE *out, struct span text);

#endif
