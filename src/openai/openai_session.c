/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/openai_session.h"

#include "json/json_value.h"

#define PLACES_MAX        4 /* the body, its extra_body, and metadata of each */
#define WRITTEN_MAX       (6 * OPENAI_SESSION_MAX) /* as JSON may write each character */
#define INSTRUCTION_BYTES 512 /* of agents it is long, and the same of all their chats */

bool openai_session_is_name(struct span text)
{
    bool is_visible = text.len > 0 && text.len <= OPENAI_SESSION_MAX;
    for (size_t i = 0; is_visible && i < text.len; i++) {
        is_visible = text.at[i] > ' ' && text.at[i] < 0x7F;
    }
    return is_visible;
}

/* ---- names ---- */

struct places {
    uint32_t rows[PLACES_MAX];
    size_t count;
};

static void add_place(const struct json_index *x, uint32_t row, struct places *out)
{
    if (row != JSON_NONE && json_kind(x, row) == JSON_OBJECT) {
        out->rows[out->count++] = row;
    }
}

static struct places find_places(const struct json_index *x, const struct openai_request *request)
{
    struct places found = {.count = 0};
    uint32_t extra = request->top.keys[OPENAI_FACT_EXTRA_BODY];
    add_place(x, 0, &found);
    add_place(x, extra == JSON_NONE ? JSON_NONE : extra + 1, &found);
    for (size_t i = 0, bodies = found.count; i < bodies; i++) {
        add_place(x, json_find(x, found.rows[i], SPAN("metadata")), &found);
    }
    return found;
}

/* Takes over what a row says, if that is a name. */
static enum err take_name(const struct json_index *x, uint32_t row, struct arena *arena,
                          struct span *out)
{
    struct span said;
    if (row == JSON_NONE || json_kind(x, row) != JSON_STRING ||
        json_row(x, row)->len > WRITTEN_MAX) {
        return ERR_OK;
    }
    enum err e = json_text(x, row, arena, &said);
    if (e != ERR_OK || !openai_session_is_name(said)) {
        return e == ERR_NO_MEMORY ? e : ERR_OK;
    }
    *out = arena_copy(arena, said);
    return out->at == NULL ? ERR_NO_MEMORY : ERR_OK;
}

/* The first that is a name: what is a chat's alone before what several may share. */
static enum err read_name(const struct json_index *x, const struct openai_request *request,
                          struct arena *arena, struct span *out)
{
    static const char *const members[] = {"session_id",      "conversation_id",    "chat_id",
                                          "thread_id",       "litellm_session_id", "conversation",
                                          "prompt_cache_key"};
    const struct places places = find_places(x, request);
    enum err e = ERR_OK;
    for (size_t m = 0; m < sizeof(members) / sizeof(members[0]); m++) {
        for (size_t p = 0; e == ERR_OK && out->len == 0 && p < places.count; p++) {
            uint32_t row = json_find(x, places.rows[p], span_of(members[m]));
            bool has_id = row != JSON_NONE && json_kind(x, row) == JSON_OBJECT;
            e = take_name(x, has_id ? json_find(x, row, SPAN("id")) : row, arena, out);
        }
    }
    return e;
}

/* ---- openings ---- */

static enum err read_opening(const struct openai_count *count, struct arena *arena,
                             struct span *out)
{
    const struct json_index *x = count->texts.x;
    if (count->opening_instruction == JSON_NONE && count->opening_turn == JSON_NONE) {
        return ERR_OK;
    }
    uint8_t *text = arena_alloc(arena, OPENAI_OPENING_BYTES);
    if (text == NULL) {
        return arena_error(arena);
    }
    size_t len = json_read_beginning(x, count->opening_instruction, text, INSTRUCTION_BYTES);
    text[len++] = '\0'; /* so that nothing moves from one to the other */
    len += json_read_beginning(x, count->opening_turn, text + len, OPENAI_OPENING_BYTES - len);
    *out = span_make(text, len);
    return ERR_OK;
}

enum err openai_session_read(const struct openai_count *count, const struct json_index *x,
                             const struct openai_request *request, struct arena *arena,
                             struct openai_session *out)
{
    *out = (struct openai_session){.named = SPAN(""), .opening = SPAN("")};
    enum err e = read_name(x, request, arena, &out->named);
    bool has_opening =
        out->named.len == 0 && count != NULL && request->endpoint != OPENAI_EMBEDDINGS;
    return e == ERR_OK && has_opening ? read_opening(count, arena, &out->opening) : e;
}
