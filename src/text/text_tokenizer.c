/* SPDX-License-Identifier: Apache-2.0 */
#include "text/text_tokenizer.h"

#define PARTS 64 /* of a token */

#define TOKENIZER(name, message, request, ...) {name, message, request, {__VA_ARGS__}},
static const struct text_tokenizer rows[] = {
#include "text/text_tokenizer.def"
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

const struct text_tokenizer *text_tokenizer_mean(void)
{
    return &rows[0];
}

const struct text_tokenizer *text_tokenizer_find(struct span name)
{
    for (size_t i = 1; i < ROWS; i++) {
        if (span_is(name, rows[i].name)) {
            return &rows[i];
        }
    }
    return NULL;
}

const struct text_tokenizer *text_tokenizer_at(size_t i)
{
    return i < ROWS ? &rows[i] : NULL;
}

int64_t text_tokenizer_count(const struct text_tokenizer *t, const struct text_shape *shape)
{
    uint64_t parts = 0;
    for (size_t i = 0; i < TEXT_TRAITS; i++) {
        parts += (uint64_t)t->costs[i] * shape->count[i];
    }
    return (int64_t)((parts + PARTS - 1) / PARTS);
}
