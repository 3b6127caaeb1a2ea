/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_id.h — which key `atlas key …` is about.
 *
 * Ownership  spans lie in what was passed in.
 * Threads    the main thread.
 */
#ifndef MAIN_KEY_ID_H
#define MAIN_KEY_ID_H

#include "admin/admin_routes.h"
#include "keys/key_string.h"

#define MAIN_KEY_PATH_BYTES (sizeof(ADMIN_KEYS_PATH) + 1 + KEY_ID_CHARS)

/* Reads the id that `word` is or holds: whoever gives the whole key means the id in it. False: it
 * may be a name. */
bool main_key_id(const char *word, struct span *id);

/* Which keys a name may mean. */
enum main_key_state { MAIN_KEY_WORKS, MAIN_KEY_ENDED, MAIN_KEY_ANY };

/* The same, of one that may be given by its name, too, where that is one key's alone of those that
 * may be meant. CLI_GO_ON, or the exit status after it has said, as "atlas COMMAND: …", why not. */
int main_key_find(const char *command, const char *config, const char *word,
                  enum main_key_state which, char out[KEY_ID_CHARS + 1]);

/* Writes the path of the key's own requests to `out`. */
struct span main_key_path(struct span id, char out[MAIN_KEY_PATH_BYTES]);

#endif
