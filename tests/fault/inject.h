/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject.h — makes the n-th call of one kind fail, in the gateway's threads only.
 *
 * The linker leads the gateway's calls through inject.c (--wrap, see meson.build). What libraries
 * call themselves is not counted.
 *
 * Threads  a thread is the gateway's unless it says inject_exempt(true). Arming and disarming is
 * the test's.
 */
#ifndef TESTS_FAULT_INJECT_H
#define TESTS_FAULT_INJECT_H

#include <stdbool.h>
#include <stddef.h>

enum inject_kind {
    INJECT_NOTHING,
    INJECT_MALLOC,  /* no memory */
    INJECT_READ,    /* a reset or EIO */
    INJECT_WRITE,   /* the same */
    INJECT_SHORT,   /* a read or write moves one byte only: no failure at all */
    INJECT_CONNECT, /* refused */
    INJECT_SYNC,    /* EIO */
    INJECT_SPACE,   /* ENOSPC of a write or a reservation */
    INJECT_SQL,     /* a step, a statement or an opening that SQLite refuses */
    INJECT_SYSTEM,  /* any other call: files, folders, sockets, threads, libuv's handles */
    INJECT_KINDS
};

const char *inject_name(enum inject_kind kind);

/* Makes the calling thread the test's, or the gateway's. Returns what it was. */
bool inject_exempt(bool is_test);

/* From now on the `at`-th call (from 1) of `kind` fails; with `on` all that follow, too. */
void inject_arm(enum inject_kind kind, long at, bool on);

/* No call fails any more. Returns how many have. */
long inject_disarm(void);

/* Calls counted and failed since inject_arm(). */
long inject_count(void);
long inject_hits(void);

/* Blocks of base/memory.h in use, but for those that a thread keeps for ever (counters). */
long inject_blocks(void);

/* Says on standard error what was armed and from where the call that failed was made. */
void inject_say(void);

#endif
