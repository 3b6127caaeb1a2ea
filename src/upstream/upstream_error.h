/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_error.h — what a model server's error means to our caller.
 *
 * Its status decides: 400, 413 and 422 are the caller's fault and are relayed with the server's own
 * words, `param`, `type` and `code`; a prompt that is too long is recognised among them. 401, 403,
 * 404 and other statuses that only our configuration can cause say nothing of what the server said,
 * for that may hold secrets. 429 and 503 mean that it is busy, unless it says that there is no
 * money or quota left, for then waiting is of no use; all else that it failed.
 *
 * Ownership  texts are in the arena.
 * Limits     a body of up to 256 KiB is read; a message has at most UPSTREAM_MESSAGE_MAX bytes of
 *            well-formed UTF-8, every other text UPSTREAM_PARAM_MAX.
 * Threads    any; pure.
 * Sources    the error bodies of vLLM, SGLang, llama.cpp, Ollama, TGI and OpenAI, and how sellers
 * of inference say that an account is empty (OpenAI, Azure, Anthropic, DeepSeek, Moonshot, Alibaba,
 * OpenRouter); RFC 9110 section 10.2.3 (Retry-After).
 */
#ifndef UPSTREAM_UPSTREAM_ERROR_H
#define UPSTREAM_UPSTREAM_ERROR_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"
#include "upstream/upstream_settings.h"

#define UPSTREAM_MESSAGE_MAX     2048
#define UPSTREAM_PARAM_MAX       256
#define UPSTREAM_RETRY_AFTER_MAX 60

struct upstream_answer {
    enum upstream_kind kind;
    int status; /* 0: this is an event of a stream; its body says what the status is */
    struct span content_type; /* value of the field; empty if there is none */
    struct span retry_after;  /* the same: seconds, or a date */
    wall_us now;              /* a date is counted from here */
    struct span body;
};

struct upstream_error {
    enum err err;
    struct span message; /* empty: say err_sentence(err) */
    struct span param;   /* the field at fault, or empty */
    struct span type;    /* the server's own, or empty: say the row's */
    struct span code;    /* the same; a status that stands there says nothing, and is left out */
    int retry_after_s;   /* 1 to UPSTREAM_RETRY_AFTER_MAX; 0: it did not say, or it is of no use */
};

/* Reads an answer that is no success. Without memory there is no message, that is all. */
void upstream_error_read(const struct upstream_answer *answer, struct arena *arena,
                         struct upstream_error *out);

/* What Retry-After says: seconds, or a date; 1 to 60, 0 where it says nothing. */
int upstream_retry_after(struct span value, wall_us now);

#endif
