/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h — statements about this program that cannot be false.
 *
 * CHECK() is for our own mistakes, never for what a client, an upstream or a disk did: those come
 * back as an `enum err`. It stays on in release builds; a gateway that no longer knows its own
 * state must stop, not guess. CHECK_SLOW() is for walks over a whole structure and is compiled
 * only into sanitizer, fuzz and `-Dslow_checks=true` builds.
 *
 * Threads  any. A failed check prints where, the thread's recent state changes and a backtrace to
 *          standard error, then aborts.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stddef.h>
#include <stdint.h>

#define MUST_USE                 __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#define LIKELY(cond)             __builtin_expect(!!(cond), 1)
#define UNLIKELY(cond)           __builtin_expect(!!(cond), 0)

/* Prints the report and aborts. Called by the macros below. */
_Noreturn void check_failed(const char *what, const char *file, int line, const char *func)
    __attribute__((cold));

/*
 * Remembers that `object` (any number that names it) entered `state` (a string that lives for
 * ever), in a ring of the thread's last 32 changes, for check_failed() to print.
 */
void check_note(const char *state, uint64_t object);

#define CHECK(cond) (LIKELY(cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__, __func__))
#define NEVER(why)  check_failed("never: " why, __FILE__, __LINE__, __func__)

/* A struct that callbacks receive as `void *` begins with `uint32_t magic`. */
#define CHECK_OBJ(ptr, number) CHECK((ptr) != NULL && (ptr)->magic == (number))

#ifdef ATLAS_SLOW_CHECKS
#define CHECK_SLOW(cond) CHECK(cond)
#else
#define CHECK_SLOW(cond) ((void)sizeof(cond))
#endif

#endif
