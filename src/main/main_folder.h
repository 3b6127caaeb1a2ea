/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_folder.h — the data folder of a gateway that is about to start: whose it is, and who has it.
 *
 * What is wrong is said on the log.
 *
 * Threads  one that runs no loop.
 */
#ifndef MAIN_MAIN_FOLDER_H
#define MAIN_MAIN_FOLDER_H

#include "base/err.h"

/*
 * Takes the folder for this process alone, whose lock `*out` holds. `config` is the configuration's
 * path, for what is said.
 *
 *   ERR_FILE    something in it is another user's, it is not there, cannot be written or locked
 *   ERR_LOCKED  another process has it
 */
MUST_USE enum err main_folder_lock(const char *folder, const char *config, int *out);

/* Warns of a folder that others may enter, or that root serves for another. */
void main_folder_look(const char *folder);

#endif
