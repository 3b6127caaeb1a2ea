/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"

#define FIRST_BYTES 256

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max, .uncounted = SIZE_MAX};
}

void buf_init_counted(struct buf *b, size_t max, size_t uncounted)
{
    *b = (struct buf){.max = max, .uncounted = uncounted};
}

void buf_fini(struct buf *b)
{
    memory_free(b->at);
    if (b->taken > 0) {
        memory_give(b->taken);
    }
    *b = (struct buf){.max = b->max, .uncounted = b->uncounted};
}

void buf_clear(struct buf *b)
{
    b->from = b->len = 0;
    b->failed = b->is_refused = false;
}

/* Makes the room `cap` bytes, counted where that is due. */
static bool grow(struct buf *b, size_t cap)
{
    size_t more = cap > b->uncounted ? cap - b->uncounted - b->taken : 0;
    if (more > 0 && !memory_take(more)) {
        b->is_refused = true;
        return false;
    }
    uint8_t *grown = memory_resize(b->at, cap);
    if (grown == NULL) {
        memory_give(more);
        return false;
    }
    b->at = grown;
    b->cap = cap;
    b->taken += more;
    return true;
}

/* Moves the held bytes to the front: consumed space is used before more is asked for. */
static void pack(struct buf *b)
{
    if (b->from > 0) {
        memmove(b->at, b->at + b->from, b->len - b->from);
        b->len -= b->from;
        b->from = 0;
    }
}

uint8_t *buf_reserve(struct buf *b, size_t more)
{
    if (b->failed) {
        return NULL;
    }
    if (more > b->cap - b->len) {
        pack(b);
    }
    if (more > b->cap - b->len) {
        if (more > b->max || b->len > b->max - more) {
            b->failed = true;
            return NULL;
        }
        size_t cap = b->cap < FIRST_BYTES ? FIRST_BYTES : b->cap * 2;
        cap = cap < b->len + more ? b->len + more : cap;
        cap = cap > b->max ? b->max : cap;
        if (!grow(b, cap)) {
            b->failed = true;
            return NULL;
        }
    }
    return b->at + b->len;
}

void buf_added(struct buf *b, size_t count)
{
    CHECK(count <= b->cap - b->len);
    b->len += count;
}

void buf_put(struct buf *b, struct span s)
{
    if (s.len == 0) {
        return;
    }
    uint8_t *to = buf_reserve(b, s.len);
    if (to != NULL) {
        memcpy(to, s.at, s.len);
        b->len += s.len;
    }
}

void buf_put_text(struct buf *b, const char *text)
{
    buf_put(b, span_of(text));
}

void buf_put_byte(struct buf *b, uint8_t byte)
{
    buf_put(b, span_make(&byte, 1));
}

void buf_put_u64(struct buf *b, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    buf_put(b, span_make(digits + at, sizeof(digits) - at));
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    uint8_t *to = len < 0 ? NULL : buf_reserve(b, (size_t)len + 1); /* vsnprintf writes a NUL */
    if (to != NULL) {
        (void)vsnprintf((char *)to, (size_t)len + 1, format, again); /* measured above */
        b->len += (size_t)len;
    }
    va_end(again);
}

void buf_consume(struct buf *b, size_t count)
{
    CHECK(count <= b->len - b->from);
    b->from += count;
    if (b->from == b->len) {
        b->from = b->len = 0;
    }
}
