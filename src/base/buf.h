/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h — bytes that grow, up to a maximum given at birth.
 *
 * Sticky: the first put that would pass the maximum, or finds no memory, marks the buffer failed;
 * later puts do nothing. One asks once, at the end, with buf_failed().
 *
 *        at            at+from        at+len            at+cap        max
 *        |   consumed    |    held      |     free        |  not yet    |
 *
 * A *counted* buffer takes its room from the allowance of all calls together (base/memory.h), but
 * for the first bytes.
 *
 * Ownership  buf_init() takes no memory; what grows is freed by buf_fini().
 * Threads    one at a time.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

#define BUF_UNCOUNTED 4096 /* what one that a call has may hold beside the allowance */

struct buf {
    uint8_t *at;
    size_t from, len, cap; /* from ≤ len ≤ cap ≤ max */
    size_t max;
    size_t uncounted, taken; /* room for which nothing is taken of the allowance; taken */
    bool failed;
    bool is_refused; /* it failed for want of allowance */
};

/* An empty buffer of at most `max` bytes. */
void buf_init(struct buf *b, size_t max);

/* The same, counted but for the first `uncounted` bytes. */
void buf_init_counted(struct buf *b, size_t max, size_t uncounted);

/* Frees the memory; `b` is then empty and may be used again. */
void buf_fini(struct buf *b);

/* Forgets the contents and the failure, keeps the memory. */
void buf_clear(struct buf *b);

/* Makes room for `more` bytes and returns where to write them, or NULL (failed). Follow with
 * buf_added(). */
uint8_t *buf_reserve(struct buf *b, size_t more);

/* Says that `count` bytes were written where buf_reserve() pointed. */
void buf_added(struct buf *b, size_t count);

void buf_put(struct buf *b, struct span s);
void buf_put_text(struct buf *b, const char *text);
void buf_put_byte(struct buf *b, uint8_t byte);
void buf_put_u64(struct buf *b, uint64_t number);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* Drops `count` held bytes from the front; when none is left the space is used anew. */
void buf_consume(struct buf *b, size_t count);

/* The bytes held. Valid until the next change. */
static inline struct span buf_span(const struct buf *b)
{
    return (struct span){b->at == NULL ? NULL : b->at + b->from, b->len - b->from};
}

/* Why it failed, where its maximum is not the cause: ERR_OVERLOADED for want of allowance, else
 * ERR_NO_MEMORY. */
static inline enum err buf_error(const struct buf *b)
{
    return b->is_refused ? ERR_OVERLOADED : ERR_NO_MEMORY;
}

static inline bool buf_failed(const struct buf *b)
{
    return b->failed;
}

#endif
