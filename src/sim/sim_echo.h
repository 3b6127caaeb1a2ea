/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_echo.h — the last message's text, as a model would read it: to be said again, piece by piece,
 * or shown.
 *
 * Threads  any; pure, but for what is printed.
 */
#ifndef SIM_SIM_ECHO_H
#define SIM_SIM_ECHO_H

#include <stdio.h>

#include "base/buf.h"
#include "json/json_index.h"

/* Appends the text of the last message that has one, its parts one after the other; of a request
 * without messages its prompt or input, if that is a string. */
void sim_echo_read(const struct json_index *x, struct buf *out);

/* How many pieces of `bytes` there are. */
uint64_t sim_echo_count(struct span text, int64_t bytes);

/* The nth of them, from 0; one that would begin or end inside a character does so before it, and so
 * may be empty. Behind the last they are. */
struct span sim_echo_piece(struct span text, int64_t bytes, uint64_t n);

/* Prints a line: the text as a string of JSON. */
void sim_echo_print(struct span text, FILE *out);

#endif
