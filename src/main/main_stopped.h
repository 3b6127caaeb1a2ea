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

enum main_stop {
    MAIN_RUNS,    /* one of its threads at least; or it is not there */
    MAIN_STOPPED, /* by a signal (SIGSTOP) */
    MAIN_TRACED   /* by a debugger, one of its threads at least */
};

/* Whether all threads of the process are stopped, and who did it: he may let it go on. */
enum main_stop main_stop_of(pid_t pid);

#endif
