/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openai_usage.h — what a model server says that an answer took, and what is to be believed of it.
 *
 * The object is kept as the server wrote it, so that a client gets all of its members, with a
 * number in the place of a count that is none; only the numbers that are recorded are read. A
 * number that came before the last content is not final, one that is missing, or 0 where there was
 * something, is estimated, and one that cannot be (less than what was seen, beyond what was asked
 * for) is bounded; the record says so. As much as was asked for is always enough: what was seen may
 * be the prompt again (`echo`). What was seen is measured by openai_count.h.
 *
 * Ownership  openai_usage_fini() frees what is held. All zero is an empty one.
 * Limits     numbers of up to 2^53; an object of up to 16 KiB, of a larger one the numbers alone.
 *            What is held is counted (base/memory.h).
 * Threads    any; pure.
 * Sources    OpenAI's API reference (usage); llama.cpp's `timings`.
 */
#ifndef OPENAI_OPENAI_USAGE_H
#define OPENAI_OPENAI_USAGE_H

#include "base/span.h"
#include "json/json_edit.h"

struct openai_usage {
    int64_t input_tokens, output_tokens, cached_tokens; /* 0 where they were not said, */
    int64_t reasoning_tokens;                           /* and these */
    bool has_input, has_output;
    uint64_t written; /* eighths of a token of the text that there was when it was said */
    uint8_t *text;    /* of the object, one line; NULL: it has none, or is too large */
    uint32_t text_len, text_room;
};

/* Reads the numbers of a `usage` object, or of llama.cpp's `timings` (rows, or JSON_NONE); false if
 * neither has any. */
bool openai_usage_read(const struct json_index *x, uint32_t usage, uint32_t timings,
                       struct openai_usage *out);

/* A count that is missing beside others, null, below zero or no whole number, for which some
 * clients refuse the answer, is edited into what the others leave of the total, or 0. `usage` is an
 * object; `has_output` as in openai_seen. */
void openai_usage_edit(struct json_edits *edits, uint32_t usage, bool has_output);

/*
 * Keeps the next one of a stream as edited so far, of which `written` eighths of a token were seen.
 * One of zeros, or with less output than the one before, is left away. False if there was none.
 * ERR_NO_MEMORY is not told: then there is no text.
 */
bool openai_usage_keep(struct openai_usage *u, struct json_edits *edits, uint32_t usage,
                       uint32_t timings, uint64_t written);

void openai_usage_fini(struct openai_usage *u);

static inline bool openai_usage_is_known(const struct openai_usage *u)
{
    return u->has_input || u->has_output;
}

/* What is known of a call besides what the server says. */
struct openai_seen {
    uint64_t body_bytes;    /* of the request */
    int64_t input_estimate; /* tokens of the request */
    bool input_is_exact;    /* they were counted */
    uint64_t written;       /* eighths of a token of the answer */
    int64_t asked;          /* the most tokens that were asked for; -1: nobody said */
    bool has_output;        /* the answer is text: no vectors */
};

/* What is recorded of a call. */
struct openai_settled {
    int64_t input, output, cached, reasoning;
    bool input_estimated, output_estimated;
};

/* Whether the output of a whole reply of `bytes` is to be believed whatever it says, so that nobody
 * need count it. `asked` as above. */
bool openai_usage_is_plain(const struct openai_usage *said, size_t bytes, int64_t asked);

/* Judges what the server said. */
struct openai_settled openai_usage_settle(const struct openai_usage *said,
                                          const struct openai_seen *seen);

#endif
