/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_threads.h — what threads do for the heap: a worker keeps blocks at hand, another thread
 * frees the large ones.
 *
 * Ownership  as memory.h.
 * Threads    memory_thread_*() are of the calling thread; the freer is one for the process.
 */
#ifndef BASE_MEMORY_THREADS_H
#define BASE_MEMORY_THREADS_H

#include "base/err.h"

/*
 * What a call takes and gives back of 1 to 4 KiB, the C library keeps at hand for no thread: the
 * calling thread keeps some such blocks of its own (96 KiB at most) until memory_thread_end(). Not
 * where slow checks are compiled in, so that a sanitizer sees every block.
 */
void memory_thread_start(void);
void memory_thread_end(void);

/*
 * The kernel takes milliseconds to take a large block back: from now on a thread of its own gives
 * blocks of MEMORY_SLOW_BYTES and more back, piece by piece, and memory_free() only hands them
 * over. Until memory_stop_freer(), which is called when no other thread frees any more.
 * ERR_NO_MEMORY: they are freed at once, as before.
 */
#define MEMORY_SLOW_BYTES (2u << 20)
MUST_USE enum err memory_start_freer(void);
void memory_stop_freer(void);

#endif
