/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nearly all objects have keys of ours only, each once, and then a bit a name tells it. Any other
 * key makes an object doubtful: its keys are compared with one another (json_duplicates.h).
 */
#include "openai/openai_request_walk.h"

#include "openai/openai_names.h"
#include "json/json_value.h"

#define KEY_BYTES     16 /* of a step: what a look at a key costs */
#define ESCAPED_BYTES 128

/* The facts that names stand for, and one more: 0 is none. */
static const uint8_t fact_of[NAME_COUNT] = {
    [NAME_model] = OPENAI_FACT_MODEL + 1,
    [NAME_messages] = OPENAI_FACT_MESSAGES + 1,
    [NAME_prompt] = OPENAI_FACT_PROMPT + 1,
    [NAME_input] = OPENAI_FACT_INPUT + 1,
    [NAME_stream] = OPENAI_FACT_STREAM + 1,
    [NAME_stream_options] = OPENAI_FACT_STREAM_OPTIONS + 1,
    [NAME_n] = OPENAI_FACT_N + 1,
    [NAME_best_of] = OPENAI_FACT_BEST_OF + 1,
    [NAME_max_completion_tokens] = OPENAI_FACT_MAX_COMPLETION_TOKENS + 1,
    [NAME_max_tokens] = OPENAI_FACT_MAX_TOKENS + 1,
    [NAME_encoding_format] = OPENAI_FACT_ENCODING_FORMAT + 1,
    [NAME_stop] = OPENAI_FACT_STOP + 1,
    [NAME_routing] = OPENAI_FACT_ROUTING + 1,
    [NAME_routing_preference] = OPENAI_FACT_ROUTING_PREFERENCE + 1,
    [NAME_extra_body] = OPENAI_FACT_EXTRA_BODY + 1,
};

void openai_walk_begin(struct openai_reading *r, uint32_t object, enum openai_walk walk,
                       struct span name)
{
    r->walk = (uint8_t)walk;
    r->object = object;
    r->object_name = name;
    r->key = object + 1;
    r->seen[0] = r->seen[1] = 0;
    r->is_doubtful = false;
    r->role = JSON_NONE;
}

void openai_walk_fini(struct openai_reading *r)
{
    if (r->is_comparing) {
        json_duplicates_fini(&r->duplicates);
        r->is_comparing = false;
    }
}

/* Notes a key of ours; the first of its name counts. */
static void note(struct openai_reading *r, enum openai_name name, uint32_t key)
{
    struct openai_facts *facts = &r->request.extra;
    switch ((enum openai_walk)r->walk) {
    case OPENAI_WALK_BODY:
        facts = &r->request.top;
        break;
    case OPENAI_WALK_EXTRA:
        break;
    case OPENAI_WALK_HINTS:
        return;
    case OPENAI_WALK_OPTIONS:
        r->request.include_usage = name == NAME_include_usage ? key + 1 : r->request.include_usage;
        r->continuous_usage = name == NAME_continuous_usage_stats ? key + 1 : r->continuous_usage;
        return;
    case OPENAI_WALK_MESSAGE:
        r->role = name == NAME_role ? key + 1 : r->role;
        return;
    }
    if (fact_of[name] > 0) {
        facts->keys[fact_of[name] - 1] = key;
    }
}

static void walk_keys(struct openai_reading *r, size_t *left)
{
    const struct json_row *rows = r->x->rows;
    uint32_t key = r->key, end = rows[r->object].next;
    size_t bytes = *left;
    for (; key < end && bytes > 0; key = rows[key + 1].next) {
        enum openai_name name = openai_name_of(r->x, key);
        uint64_t bit = 1ULL << (name & 63), *seen = &r->seen[name >> 6];
        size_t cost = (rows[key].flags & JSON_ESCAPED) != 0 ? ESCAPED_BYTES : KEY_BYTES;
        bytes -= bytes < cost ? bytes : cost;
        if (UNLIKELY(name == NAME_UNKNOWN || (*seen & bit) != 0)) {
            r->is_doubtful = true;
            continue;
        }
        *seen |= bit;
        note(r, name, key);
    }
    r->key = key;
    *left = bytes;
}

/* Compares the keys of a doubtful object. */
static enum err compare(struct openai_reading *r, size_t *left)
{
    if (!r->is_comparing) {
        json_duplicates_begin(&r->duplicates, r->x, r->object);
        r->is_comparing = true;
    }
    enum err e = ERR_OK;
    if (!r->duplicates.is_done) {
        e = json_duplicates_step(&r->duplicates, *left);
        size_t cost = r->duplicates.is_done ? KEY_BYTES : *left; /* what is long ends the step */
        *left -= cost < *left ? cost : *left;
    }
    if (e != ERR_OK || !r->duplicates.is_done) {
        return e;
    }
    uint32_t twice = r->duplicates.key;
    openai_walk_fini(r);
    if (twice == JSON_NONE) {
        r->object = JSON_NONE;
        return ERR_OK;
    }
    r->param = r->object_name.len > 0 ? r->object_name : json_inside(r->x, twice);
    return ERR_JSON_DUPLICATE;
}

enum err openai_walk_step(struct openai_reading *r, size_t *left)
{
    walk_keys(r, left);
    if (r->key < r->x->rows[r->object].next) {
        return ERR_OK;
    }
    if (!r->is_doubtful) {
        r->object = JSON_NONE;
        return ERR_OK;
    }
    return *left > 0 ? compare(r, left) : ERR_OK;
}
