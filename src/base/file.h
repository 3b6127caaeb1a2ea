/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h — files that the operator names (configuration, secrets, certificates), opened in a way
 * that none of them can stop the program; and names that outlive a power cut.
 *
 * To open a named pipe that nobody writes to waits for ever, and so does to read a terminal: what
 * is named is looked at first, and only a regular file is read.
 *
 * Ownership  the descriptor is the caller's.
 * Threads    any.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Opens the regular file at `path` for reading, with O_CLOEXEC. ERR_FILE: `*why` is a text that
 * lives for ever, such as "No such file or directory" or "it is a named pipe, not a file", and
 * errno that of open(2), or EINVAL for what is no regular file.
 */
MUST_USE enum err file_open(const char *path, int *out, const char **why);

/* Waits until the folder that `path` is in has its name on the disk. ERR_DISK_FULL, ERR_DISK,
 * ERR_FILE: the folder cannot be opened. */
MUST_USE enum err file_sync_name(const char *path);

/* For what a library opens by itself: whether it may be told to. `*why` and errno as above. */
MUST_USE bool file_is_regular(const char *path, const char **why);

#endif
