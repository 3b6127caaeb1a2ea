/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/openai_prefix.h"

#include "openai/openai_internal.h"
#include "openai/openai_session.h"

#define FIRST_BYTES  256
#define MOST_BYTES   ((size_t)64 * 1024)
#define STEPS        14 /* of half as much again, from the first to the most */
#define ENDS         8  /* of messages: a turn with a few calls of tools */
#define MESSAGES_MAX 256
#define FACTOR       UINT64_C(0x9E3779B97F4A7C15)

_Static_assert(STEPS + ENDS + 1 <= OPENAI_PREFIXES_MAX, "all have room, and one more");

/* A text that is hashed from its beginning, eight bytes at a time. */
struct hashing {
    const uint8_t *at;
    size_t done;
    uint64_t hash;
};

static uint64_t mix(uint64_t hash, uint64_t word)
{
    uint64_t mixed = (hash ^ word) * FACTOR;
    return mixed ^ mixed >> 32;
}

/* Of the first `end` bytes, wherever it was asked for before. */
static uint64_t hash_to(struct hashing *h, size_t end)
{
    uint64_t word;
    for (; h->done + sizeof(word) <= end; h->done += sizeof(word)) {
        memcpy(&word, h->at + h->done, sizeof(word));
        h->hash = mix(h->hash, word);
    }
    word = 0;
    memcpy(&word, h->at + h->done, end - h->done);
    return mix(mix(h->hash, word), end);
}

/* The value of a member of the effective request. */
static uint32_t find(const struct json_index *x, const struct openai_request *request,
                     enum openai_fact fact)
{
    uint32_t own = request->top.keys[fact];
    return openai_value(x, own != JSON_NONE ? own : request->extra.keys[fact]);
}

/* How far the last elements of a list reach that end within `most` bytes of it; how many. */
static size_t find_ends(const struct json_index *x, uint32_t list, size_t most, size_t ends[ENDS])
{
    size_t count = 0, seen = 0, begin = json_row(x, list)->offset + 1;
    uint32_t row = json_kind(x, list) == JSON_ARRAY ? json_first(x, list) : JSON_NONE;
    for (; row != JSON_NONE && seen < MESSAGES_MAX; row = json_next(x, row), seen++) {
        size_t end = json_end(x, row) - begin;
        if (end > most) {
            break;
        }
        if (count == ENDS) {
            memmove(ends, ends + 1, --count * sizeof(*ends));
        }
        ends[count] = end;
        count += end >= FIRST_BYTES;
    }
    return count;
}

static void read_list(const struct json_index *x, uint32_t list, struct openai_prefixes *out)
{
    size_t ends[ENDS], next = 0, len = json_row(x, list)->len - 2; /* brackets, or quotes */
    size_t most = len < MOST_BYTES ? len : MOST_BYTES;
    size_t count = find_ends(x, list, most, ends);
    struct hashing h = {.at = json_source(x, list).at + 1};
    for (size_t step = FIRST_BYTES; step <= most || next < count;) {
        size_t end = next < count && ends[next] <= step ? ends[next] : step;
        out->at[out->count++] = hash_to(&h, end);
        next += next < count && ends[next] == end;
        step += step == end ? step / 2 : 0;
    }
}

enum err openai_prefix_read(const struct json_index *x, const struct openai_request *request,
                            struct arena *arena, struct openai_prefixes *out)
{
    static const enum openai_fact facts[] = {
        [OPENAI_CHAT] = OPENAI_FACT_MESSAGES, [OPENAI_COMPLETIONS] = OPENAI_FACT_PROMPT};
    struct openai_session session;
    out->count = 0;
    out->named = SPAN("");
    if (request->endpoint == OPENAI_EMBEDDINGS) {
        return ERR_OK;
    }
    uint32_t list = find(x, request, facts[request->endpoint]);
    if (openai_is_kind(x, list, JSON_ARRAY) || openai_is_kind(x, list, JSON_STRING)) {
        read_list(x, list, out);
    }
    enum err e = openai_session_read(NULL, x, request, arena, &session);
    out->named = session.named;
    return e;
}
