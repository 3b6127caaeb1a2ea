/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_print.h — prints what must not get lost: the text of a key, this once.
 *
 * Ownership  nothing is kept.
 * Threads    the main thread.
 */
#ifndef MAIN_KEY_PRINT_H
#define MAIN_KEY_PRINT_H

#include "base/span.h"

/* Prints a line and sees to it that all that was printed has gone out: CLI_DONE; else it says so,
 * as "atlas COMMAND: …" with `more` behind, and CLI_FAILED. */
int main_key_print(const char *command, struct span line, const char *more);

/* The same of the key that an answer holds, alone. */
int main_key_print_text(const char *command, struct span answer, const char *more);

#endif
