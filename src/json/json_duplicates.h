/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_duplicates.h — whether an object says a name twice.
 *
 * Parsers differ in which of two equal keys they believe, so an object that Atlas interprets may
 * have none. A few short keys, which is what nearly all objects have, are compared with one
 * another; many are put into a table, in steps.
 *
 * Keys are compared unescaped. Half surrogate pairs count as U+FFFD: some readers cannot tell them
 * apart either. Keys longer than 16 KiB, which are no names, are compared as they stand in the
 * text.
 *
 * Ownership  json_duplicates_fini() frees the table. The index is borrowed until then.
 * Limits     the table takes 16 to 32 bytes a key of one object, and 32 KiB if one has escapes, of
 *            the allowance (base/memory.h).
 * Threads    one at a time.
 * Sources    RFC 8259 section 4.
 */
#ifndef JSON_JSON_DUPLICATES_H
#define JSON_JSON_DUPLICATES_H

#include "json/json_index.h"

struct json_seen_key;

struct json_duplicates {
    const struct json_index *x;
    uint32_t object;
    uint32_t at;   /* the key that is looked at next */
    uint32_t key;  /* the first that repeats an earlier one, or JSON_NONE: good when it is done */
    uint32_t keys; /* how many there are, so far */
    struct json_seen_key *table;
    size_t slots, cleared;
    uint8_t *room; /* for what two escaped keys say */
    bool has_escapes;
    enum { JSON_KEYS_FEW, JSON_KEYS_COUNT, JSON_KEYS_CLEAR, JSON_KEYS_COMPARE } phase;
    bool is_done;
};

/* Begins to look for two equal keys among the members of `object` itself (not of what they hold);
 * what is no object has none. */
void json_duplicates_begin(struct json_duplicates *d, const struct json_index *x, uint32_t object);

/*
 * Goes on for about so much work, in the measure of json_index_step(): JSON_STEP_BYTES take less
 * than half a millisecond. d->is_done says whether that was all.
 *
 *   ERR_NO_MEMORY  for the table
 */
MUST_USE enum err json_duplicates_step(struct json_duplicates *d, size_t bytes);

/* Frees what is held; may be called at any time after begin, and again. */
void json_duplicates_fini(struct json_duplicates *d);

#endif
