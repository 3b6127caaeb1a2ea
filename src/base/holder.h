/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holder.h — who holds a port, a lock or a Unix socket: for the sentence that asks to stop it.
 *
 * Read from /proc, which shows only our own user's processes, unless we are root. Slow: for starts
 * that fail and for `atlas doctor`.
 *
 * Threads    any; no state.
 * Sources    proc(5): net/tcp, net/unix, locks.
 */
#ifndef BASE_HOLDER_H
#define BASE_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define HOLDER_BYTES 128

/* Writes who listens on TCP port `port`: "nginx (process 12)", or "another program" if that cannot
 * be seen. Its process, or 0. */
pid_t holder_of_port(unsigned port, char *out, size_t size);

/* The same for whoever has the file locked with flock(2); "another program" too if nobody has. */
pid_t holder_of_lock(const char *path, char *out, size_t size);

/* Whether the process has the file open. */
bool holder_has_open(pid_t pid, const char *path);

/* Whether a socket listens at this path. */
bool holder_listens_at(const char *path);

/* Writes the user's name, or "user 12" for one without. */
void holder_user(uid_t user, char *out, size_t size);

#endif
