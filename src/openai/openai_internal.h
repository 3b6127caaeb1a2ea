/* SPDX-License-Identifier: Apache-2.0 */
/* openai_internal.h — what replies and stream events are done with alike. For openai's own files.
 */
#ifndef OPENAI_OPENAI_INTERNAL_H
#define OPENAI_OPENAI_INTERNAL_H

#include "base/buf.h"
#include "openai/openai_reply.h"

/* ---- members ---- */

/* The members that are looked for, all in one walk over their object. */
enum openai_top_key {
    TOP_ID,
    TOP_DATA,
    TOP_MODEL,
    TOP_ERROR,
    TOP_USAGE,
    TOP_OBJECT,
    TOP_DETAIL,
    TOP_CHOICES,
    TOP_CREATED,
    TOP_MESSAGE,
    TOP_TIMINGS,
    TOP_KEYS
};
enum openai_choice_key {
    CHOICE_TEXT,
    CHOICE_INDEX,
    CHOICE_DELTA,
    CHOICE_ERROR,
    CHOICE_MESSAGE,
    CHOICE_LOGPROBS,
    CHOICE_FINISH_REASON,
    CHOICE_KEYS
};
enum openai_message_key {
    MESSAGE_ROLE,
    MESSAGE_NAME,
    MESSAGE_CONTENT,
    MESSAGE_REASONING,
    MESSAGE_TOOL_CALLS,
    MESSAGE_FUNCTION_CALL,
    MESSAGE_REASONING_CONTENT,
    MESSAGE_KEYS
};
enum openai_tool_key { TOOL_ID, TOOL_TYPE, TOOL_INDEX, TOOL_CUSTOM, TOOL_FUNCTION, TOOL_KEYS };
enum openai_function_key { FUNCTION_NAME, FUNCTION_ARGUMENTS, FUNCTION_KEYS };

/* Their names: a key's place in the enum and one, by number. */
extern const uint8_t openai_top_names[], openai_choice_names[], openai_message_names[],
    openai_tool_names[], openai_function_names[];

#define OPENAI_MEMBERS_MAX 1024 /* of one object are looked at; no server says more */

/* Fills `keys` with the row of the key of each of `count` names, or JSON_NONE; with nothing else,
 * if `object` is JSON_NONE or no object. Of members with one name the last counts, as clients read
 * them, and those before it are taken out. Returns how many members were looked at. */
uint32_t openai_keys(struct json_edits *edits, uint32_t object, const uint8_t *names,
                     uint32_t count, uint32_t *keys);

/* The value of a key that is there, and not null; else JSON_NONE. */
static inline uint32_t openai_value(const struct json_index *x, uint32_t key)
{
    return key == JSON_NONE || json_kind(x, key + 1) == JSON_NULL ? JSON_NONE : key + 1;
}

/* The key of a member that is there, among the first OPENAI_MEMBERS_MAX; else JSON_NONE. */
uint32_t openai_member_key(const struct json_index *x, uint32_t object, struct span name);

/* Its value, if it is not null. */
uint32_t openai_member(const struct json_index *x, uint32_t object, struct span name);

static inline bool openai_is_kind(const struct json_index *x, uint32_t row, enum json_kind kind)
{
    return row != JSON_NONE && json_kind(x, row) == kind;
}

/* Whether it is a string that is not empty. */
static inline bool openai_is_text(const struct json_index *x, uint32_t row)
{
    return openai_is_kind(x, row, JSON_STRING) && json_row(x, row)->len > 2;
}

/* Whether it is a number from 0 on, written as whole; `*out` is then that. */
bool openai_is_count(const struct json_index *x, uint32_t row, int64_t *out);

/* Whether a value says nothing: null, false, or empty. */
bool openai_is_nothing(const struct json_index *x, uint32_t row);

/* ---- edits ---- */

/* What an answer is edited with. */
struct openai_ed {
    const struct openai_plan *plan;
    const struct json_index *x;
    struct json_edits *edits;
};

/* Adds a member to `object`: `text` is `"key":value`, and copied. */
void openai_add_member(struct json_edits *edits, uint32_t object, const char *text);

/* Three parts as one, in the arena. Where the middle one is {NULL, 0} there was no memory for it.
 * {NULL, 0}, and the edits failed, without memory. */
struct span openai_join(struct json_edits *edits, struct span before, struct span middle,
                        struct span behind);

/* Adds a member of three parts. */
void openai_add_parts(struct json_edits *edits, uint32_t object, struct span before,
                      struct span middle, struct span behind);

/* Removes the member whose key is row `key`; nothing, if it is JSON_NONE. */
static inline void openai_remove_key(struct json_edits *edits, uint32_t object, uint32_t key)
{
    if (key != JSON_NONE) {
        json_edits_remove_member(edits, object, key);
    }
}

/* Whether the answer is an error object, in any of the servers' forms. A null `error` is edited
 * away. */
bool openai_is_error(const struct json_index *x, const uint32_t top[TOP_KEYS],
                     struct json_edits *edits);

/* Makes what is not known yet of who an answer is. */
void openai_make_identity(const struct openai_plan *plan, struct openai_identity *who);

/* What an answer says that it is, as JSON. */
struct span openai_object_of(const struct openai_plan *plan, bool is_chunk);

/* Makes `object` what it is and, of an answer with choices, `id` and `created` those of `who`; what
 * is not known of that yet becomes what this answer says, or is made. */
void openai_edit_identity(const struct openai_ed *ed, const uint32_t top[TOP_KEYS], bool is_chunk,
                          struct openai_identity *who);

/* Makes `model` the name that the caller knows. */
void openai_set_model(const struct openai_ed *ed, const uint32_t top[TOP_KEYS]);

/* Makes the choice say that it has this index. */
void openai_edit_index(const struct openai_ed *ed, uint32_t choice,
                       const uint32_t keys[CHOICE_KEYS], int64_t index);

/* Whether a choice says that it failed; `*words` is then JSON that an error is read from. */
bool openai_choice_failed(const struct json_index *x, uint32_t choice,
                          const uint32_t keys[CHOICE_KEYS], struct span *words);

/* A message or delta: its role, said once, is "assistant", its reasoning has one name, and what is
 * empty and makes clients stumble is left away. All but its tool calls. */
void openai_edit_message(const struct openai_ed *ed, uint32_t message,
                         const uint32_t keys[MESSAGE_KEYS], struct openai_choice *c);

/* A half of a character at either end of the text `row` (or JSON_NONE) is put together with the
 * other, which a later event has, unless it `is_last`; or is U+FFFD. */
void openai_edit_halves(const struct openai_ed *ed, uint32_t row, struct openai_choice *c,
                        bool is_last);

/* The finish_reason `row` (or JSON_NONE) becomes one of OpenAI's, and is noted. */
void openai_edit_reason(const struct openai_ed *ed, uint32_t row, struct openai_choice *c);
enum openai_reason openai_reason_read(const struct json_index *x, uint32_t row);

/* It as JSON. */
struct span openai_reason_text(enum openai_reason reason);

/* ---- choices ---- */

#define OPENAI_CHOICE_FLOATS 16 /* what a choice, or a tool call, costs of a budget */

/* Begins with the choices of the array `choices`. ERR_UPSTREAM_JSON: it is none. */
MUST_USE enum err openai_cursor_begin(struct openai_cursor *k, const struct json_index *x,
                                      uint32_t choices, struct openai_answer *answer);

/* Goes on until it is done or `*budget` is used up.
 *   ERR_UPSTREAM_JSON    a choice is no object
 *   ERR_UPSTREAM_STATUS  one says that it failed */
MUST_USE enum err openai_cursor_step(struct openai_cursor *k, const struct openai_ed *ed,
                                     int64_t *budget);

/* ---- events that repeat ---- */

/* Another event came, which is not the one before. */
void openai_memo_forget(struct openai_stream *s);

/* Notes what became of it; `before` is the stream before it. */
void openai_memo_keep(struct openai_stream *s, const struct openai_stream *before,
                      const struct openai_event *v);

/* ---- tool calls ---- */

/* One call of a chunk's choice: it gets what clients need, and what they may have once only is said
 * once. False: it is held, and is to be taken out of the event. */
bool openai_edit_call(const struct openai_ed *ed, struct openai_answer *a, struct openai_choice *c,
                      int64_t choice, uint32_t row);

/* One of a whole reply's message: it has an id and a type, and arguments that are text. */
void openai_edit_whole_call(const struct openai_ed *ed, int64_t choice, int64_t index,
                            uint32_t row);

/* How many calls there are whose names, or arguments, have not come. */
uint32_t openai_count_held(const struct openai_choice *c);

#define OPENAI_HELD_ONCE 256 /* such calls of several choices, about, that are told at once */

/* Writes what is left of such calls as elements of an array: an empty name, no arguments. */
void openai_put_held(const struct openai_plan *plan, struct openai_choice *c, int64_t index,
                     struct buf *out);

/* Frees what is held of a call; nothing if it is NULL. */
void openai_held_free(struct openai_held **held);

/* ---- embeddings ---- */

/* The vectors of an embeddings reply: form, order, number. */
MUST_USE enum err openai_vectors_begin(struct openai_vectors *v, const struct json_index *x,
                                       const struct openai_plan *plan, struct arena *arena);

/* Goes on for about as many floats; adds the edits when all are converted. Without memory for
 * these, they say so. */
MUST_USE enum err openai_vectors_convert(struct openai_vectors *v, int64_t floats,
                                         struct json_edits *edits);

static inline bool openai_vectors_are_done(const struct openai_vectors *v)
{
    return v->is_read && v->edited == v->plan->inputs;
}

#endif
