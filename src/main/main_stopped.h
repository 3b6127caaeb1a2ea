/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_stopped.h — a process that stands still because somebody wants it to.
 *
 * Threads  any.
 * Sources  proc(5), /proc/PID/task/TID/stat.
 */
#ifndef MAIN_MAIN_STOPPED_H
#define MAIN_MAIN_STOPPED_H

#include <sys/types.h>

#include <stdbool.h>

/* Whether all threads of the process are stopped, by a signal (SIGSTOP) or a debugger: whoever did
 * it may let it go on. False of a process that is not there. */
bool main_is_stopped(pid_t pid);

#endif
