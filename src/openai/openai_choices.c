/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choices of a whole reply or an event, one after another, and of each its tool calls: a server
 * may say millions of either. So one stops between any two of them and goes on later.
 */
#include "openai/openai_internal.h"
#include "json/json_value.h"

#define HELD_BYTES_MAX (16 * OPENAI_HELD_MAX)

/* Of a choice, whose members are looked at, or of a tool call, which may be quoted or joined. */
#define FLOAT_BYTES 32

#define COPIED_MAX (64u << 10) /* of a text that is said in another place, besides where it is */

/* Of a text that is counted, which may be all escapes. */
#define COUNT_FLOAT_BYTES 32

enum err openai_cursor_begin(struct openai_cursor *k, const struct json_index *x, uint32_t choices,
                             struct openai_answer *answer)
{
    *k = (struct openai_cursor){.answer = answer};
    if (!openai_is_kind(x, choices, JSON_ARRAY)) {
        return ERR_UPSTREAM_JSON;
    }
    k->choice = json_first(x, choices);
    return ERR_OK; /* one without any choice is what the server says, odd as it is */
}

/* ---- what is in a choice ---- */

/* The text that a choice says in another place than its message: as that itself, or beside it. */
static uint32_t text_elsewhere(const struct json_index *x, uint32_t key, uint32_t text_key)
{
    uint32_t value = key == JSON_NONE ? JSON_NONE : openai_value(x, key);
    uint32_t row = value == JSON_NONE ? openai_value(x, text_key) : value;
    return openai_is_kind(x, row, JSON_STRING) ? row : JSON_NONE;
}

/* Makes an object of the text at row `text`, which may be long and is not copied, with what stands
 * before it there. Behind it members may be added, so its last quote is what is replaced. */
static void wrap(const struct openai_ed *ed, uint32_t text, struct span before)
{
    json_edits_replace_borrow(ed->edits, json_row(ed->x, text)->offset, 0, before);
    json_edits_replace_borrow(ed->edits, json_end(ed->x, text) - 1, 1, SPAN("\"}"));
}

/* Makes the message or delta, of which `key` is no object or is not there. */
static void make_message(const struct openai_ed *ed, uint32_t choice, uint32_t key, uint32_t text,
                         bool is_whole)
{
    struct span name = is_whole ? SPAN("\"message\":") : SPAN("\"delta\":"), before;
    if (is_whole) {
        before = SPAN("{\"role\":\"assistant\",\"content\":");
    } else {
        before = text == JSON_NONE ? SPAN("{") : SPAN("{\"content\":");
    }
    if (text != JSON_NONE && key != JSON_NONE && text == key + 1) {
        wrap(ed, text, before);
        return;
    }
    if (text != JSON_NONE && json_row(ed->x, text)->len > COPIED_MAX) { /* then it moves there */
        const struct json_row *row = json_row(ed->x, text - 1);
        openai_remove_key(ed->edits, choice, key);
        json_edits_replace_borrow(ed->edits, row->offset, row->len,
                                  span_cut(name, 0, name.len - 1));
        wrap(ed, text, before);
        return;
    }
    struct span said = text != JSON_NONE ? json_edits_value(ed->edits, text)
                       : is_whole        ? SPAN("null")
                                         : SPAN("");
    struct span made = openai_join(ed->edits, before, said, SPAN("}"));
    if (made.at != NULL && key != JSON_NONE) {
        json_edits_set_value_borrow(ed->edits, key + 1, made);
    } else if (made.at != NULL) {
        openai_add_parts(ed->edits, choice, name, made, SPAN(""));
    }
}

/* The message of a choice, which clients look into without a question: row, or JSON_NONE if it had
 * to be made. In an event it is the delta; of a server that does not stream, the whole message. */
static uint32_t edit_said(const struct openai_ed *ed, uint32_t choice,
                          const uint32_t keys[CHOICE_KEYS], bool is_whole)
{
    const struct json_index *x = ed->x;
    uint32_t key = keys[is_whole ? CHOICE_MESSAGE : CHOICE_DELTA], message = keys[CHOICE_MESSAGE];
    if (key != JSON_NONE && json_kind(x, key + 1) == JSON_OBJECT) {
        return key + 1;
    }
    if (openai_value(x, key) == JSON_NONE && message != JSON_NONE &&
        json_kind(x, message + 1) == JSON_OBJECT) {
        const struct json_row *row = json_row(x, message);
        openai_remove_key(ed->edits, choice, key);
        json_edits_replace_borrow(ed->edits, row->offset, row->len, SPAN("\"delta\""));
        return message + 1;
    }
    uint32_t text = text_elsewhere(x, key, keys[CHOICE_TEXT]);
    make_message(ed, choice, key, text, is_whole);
    return JSON_NONE;
}

/* Whether an object has a member that says something, besides `idle` and what is empty. */
static bool has_member_beside(const struct json_index *x, uint32_t object, const char *idle)
{
    uint32_t seen = 0;
    for (uint32_t key = json_first(x, object); key != JSON_NONE; key = json_next(x, key)) {
        if (seen++ == OPENAI_MEMBERS_MAX ||
            (!json_text_is(x, key, span_of(idle)) && !json_text_is(x, key, SPAN("delta")) &&
             !openai_is_nothing(x, json_value(x, key)))) {
            return true;
        }
    }
    return false;
}

static bool says_something(const struct json_index *x, uint32_t choice,
                           const uint32_t keys[CHOICE_KEYS])
{
    uint32_t delta = openai_value(x, keys[CHOICE_DELTA]);
    return has_member_beside(x, choice, "index") ||
           (openai_is_kind(x, delta, JSON_OBJECT) && has_member_beside(x, delta, "role"));
}

/* The message or delta, all but its calls, which come next. */
static void edit_message(struct openai_cursor *k, const struct openai_ed *ed)
{
    uint32_t inside[MESSAGE_KEYS];
    if (!openai_is_kind(ed->x, k->message, JSON_OBJECT)) {
        k->message = JSON_NONE;
        return;
    }
    (void)openai_keys(ed->edits, k->message, openai_message_names, MESSAGE_KEYS, inside);
    bool passes = k->answer != NULL && k->said == &k->own; /* beyond those that are watched */
    if (inside[MESSAGE_ROLE] == JSON_NONE && !k->said->has_role && !passes) {
        openai_add_member(ed->edits, k->message, "\"role\":\"assistant\"");
        k->said->has_role = true;
    }
    openai_edit_message(ed, k->message, inside, k->said);
    k->text = openai_value(ed->x, inside[MESSAGE_CONTENT]);
    uint32_t key = inside[MESSAGE_TOOL_CALLS];
    if (key == JSON_NONE || passes) {
        return;
    }
    uint32_t first =
        json_kind(ed->x, key + 1) == JSON_ARRAY ? json_first(ed->x, key + 1) : JSON_NONE;
    if (first ==
        JSON_NONE) { /* clients take one that is empty for calls, and no other for a list */
        json_edits_remove_member(ed->edits, k->message, key);
    } else {
        k->calls = key;
        k->call = first;
    }
}

/*
 * Which choice it is, and where what it says is kept; NULL without memory. A chat's clients put the
 * choices of a stream into a list, in the order in which they come: so they are numbered in that
 * order. Elsewhere the server's numbers say which prompt a choice is of.
 */
static struct openai_choice *place_of(struct openai_cursor *k, const struct openai_ed *ed,
                                      uint32_t index)
{
    k->own = (struct openai_choice){.tools = NULL};
    if (!openai_is_kind(ed->x, index, JSON_NUMBER) ||
        json_int64(ed->x, index, &k->index) != ERR_OK ||
        (k->index < 0 && (k->answer == NULL || ed->plan->endpoint != OPENAI_CHAT))) {
        k->index = k->position;
    }
    if (k->answer == NULL) {
        return &k->own;
    }
    int64_t place =
        ed->plan->endpoint == OPENAI_CHAT ? openai_answer_place(k->answer, k->index) : k->index;
    if (place < 0 || place >= OPENAI_CHOICES_MAX) {
        return place < 0 ? NULL : &k->own;
    }
    k->index = place;
    return openai_answer_choice(k->answer, place);
}

/* What is no object there is nothing that clients can read. */
static void edit_logprobs(const struct openai_ed *ed, uint32_t key)
{
    if (key != JSON_NONE && json_kind(ed->x, key + 1) != JSON_OBJECT &&
        json_kind(ed->x, key + 1) != JSON_NULL) {
        json_edits_set_value_borrow(ed->edits, key + 1, SPAN("null"));
    }
}

/* The text of a completion, which clients add to others without a question. */
static void edit_text(const struct openai_ed *ed, uint32_t choice, uint32_t key)
{
    if (key == JSON_NONE) {
        openai_add_member(ed->edits, choice, "\"text\":\"\"");
    } else if (json_kind(ed->x, key + 1) == JSON_NULL) {
        json_edits_set_value_borrow(ed->edits, key + 1, SPAN("\"\""));
    }
}

static enum err begin_choice(struct openai_cursor *k, const struct openai_ed *ed)
{
    const struct json_index *x = ed->x;
    uint32_t keys[CHOICE_KEYS];
    if (json_kind(x, k->choice) != JSON_OBJECT) {
        return ERR_UPSTREAM_JSON;
    }
    (void)openai_keys(ed->edits, k->choice, openai_choice_names, CHOICE_KEYS, keys);
    if (openai_choice_failed(x, k->choice, keys, &k->failure)) {
        return ERR_UPSTREAM_STATUS;
    }
    bool is_whole = k->answer == NULL;
    k->has_content = k->has_content || is_whole || says_something(x, k->choice, keys);
    k->said = place_of(k, ed, openai_value(x, keys[CHOICE_INDEX]));
    if (k->said == NULL) {
        return ERR_NO_MEMORY;
    }
    openai_edit_index(ed, k->choice, keys, k->index);
    edit_logprobs(ed, keys[CHOICE_LOGPROBS]);
    if (k->counts) {
        openai_count_begin_choice(&k->count, x, k->choice);
        k->is_counting = true;
    }
    k->reason = keys[CHOICE_FINISH_REASON];
    k->calls = k->call = k->kept = k->gap = k->message = k->text = JSON_NONE;
    k->call_position = 0;
    if (ed->plan->endpoint == OPENAI_CHAT) {
        k->message = edit_said(ed, k->choice, keys, is_whole);
    } else {
        k->text = openai_value(x, keys[CHOICE_TEXT]);
        edit_text(ed, k->choice, keys[CHOICE_TEXT]);
    }
    edit_message(k, ed);
    if (k->answer == NULL || k->said != &k->own) {
        bool is_last = is_whole || openai_value(x, k->reason) != JSON_NONE;
        openai_edit_halves(ed, k->text, k->said, is_last);
    }
    return ERR_OK;
}

/* ---- its calls ---- */

/* Takes the calls out that do not stay, a run of them with one comma. `next` is the call behind the
 * run, or JSON_NONE. */
static void close_gap(struct openai_cursor *k, const struct openai_ed *ed, uint32_t next)
{
    const struct json_index *x = ed->x;
    if (k->gap != JSON_NONE) {
        bool is_behind = k->kept != JSON_NONE;
        uint32_t from = is_behind ? json_end(x, k->kept) : json_row(x, k->gap)->offset;
        uint32_t to = is_behind ? json_end(x, k->gap_end) : json_row(x, next)->offset;
        json_edits_replace_borrow(ed->edits, from, to - from, SPAN(""));
        k->gap = JSON_NONE;
    }
}

static void edit_call(struct openai_cursor *k, const struct openai_ed *ed)
{
    uint32_t row = k->call;
    bool is_object = json_kind(ed->x, row) == JSON_OBJECT, stays = is_object;
    if (is_object && k->answer == NULL) {
        openai_edit_whole_call(ed, k->position, k->call_position, row);
        k->said->tool_count = 1; /* nobody asks how many */
    } else if (is_object) {
        stays = openai_edit_call(ed, k->answer, k->said, k->index, row);
    }
    if (stays) {
        close_gap(k, ed, row);
        k->kept = row;
    } else {
        k->gap = k->gap == JSON_NONE ? row : k->gap;
        k->gap_end = row;
    }
    k->call_position++;
    k->call = json_next(ed->x, row);
}

/* ---- its end ---- */

/* Calls whose names never came are told with the end; those of very many choices at once, at that
 * of the stream. */
static void release_calls(struct openai_cursor *k, const struct openai_ed *ed)
{
    struct buf text;
    uint32_t held = openai_count_held(k->said);
    if (held == 0 || k->released >= OPENAI_HELD_ONCE) {
        return;
    }
    k->released += held;
    k->text = JSON_NONE; /* it says more than that */
    buf_init(&text, HELD_BYTES_MAX);
    openai_put_held(ed->plan, k->said, k->index, &text);
    struct span calls = buf_failed(&text) ? (struct span){NULL, 0} : buf_span(&text);
    if (k->kept == JSON_NONE) {
        openai_add_parts(ed->edits, k->message, SPAN("\"tool_calls\":["), calls, SPAN("]"));
    } else {
        calls = arena_copy(ed->edits->arena, calls);
        uint32_t end = json_end(ed->x, k->calls + 1) - 1;
        if (calls.at == NULL) {
            json_edits_fail(ed->edits, arena_error(ed->edits->arena));
        } else {
            json_edits_replace_borrow(ed->edits, end, 0, SPAN(","));
            json_edits_replace_borrow(ed->edits, end, 0, calls);
        }
    }
    buf_fini(&text);
}

static void count_end(struct openai_cursor *k, bool had_begun, bool was_open)
{
    struct openai_answer *a = k->answer;
    bool ends = k->said->reason != OPENAI_NO_REASON;
    a->any_begun = true;
    a->any_ended = a->any_ended || ends;
    if (k->said != &k->own) {
        k->said->has_begun = true;
        a->begun = (uint16_t)(a->begun + !had_begun);
        a->ended = (uint16_t)(a->ended + (ends && (was_open || !had_begun)));
    }
}

/* Adds what the choice says, but for what it said before. */
static void add_written(struct openai_cursor *k)
{
    struct openai_choice *c = k->said;
    uint64_t more = k->counts ? openai_count_written(&k->count) : 0, again = c->again;
    again += c->reasons_twice && k->counts ? openai_count_reasoning(&k->count) / 2 : 0;
    more -= again < more ? again : more;
    c->again = 0;
    c->reasons_twice = false;
    c->written += more;
    k->written += more;
    if (k->answer != NULL) {
        k->answer->written += more;
    }
}

static void end_choice(struct openai_cursor *k, const struct openai_ed *ed)
{
    struct openai_choice *c = k->said;
    bool had_begun = c->has_begun, was_open = had_begun && c->reason == OPENAI_NO_REASON;
    if (k->calls != JSON_NONE && k->kept == JSON_NONE) {
        json_edits_remove_member(ed->edits, k->message, k->calls);
    } else {
        close_gap(k, ed, JSON_NONE);
    }
    openai_edit_reason(ed, k->reason == JSON_NONE ? JSON_NONE : k->reason + 1, c);
    bool ends = c->reason != OPENAI_NO_REASON;
    if (k->answer == NULL && !ends) { /* it is over, whatever the server says */
        openai_remove_key(ed->edits, k->choice, k->reason);
        openai_add_member(ed->edits, k->choice,
                          c->tool_count > 0 ? "\"finish_reason\":\"tool_calls\""
                                            : "\"finish_reason\":\"stop\"");
    }
    if (k->answer != NULL && k->message != JSON_NONE && ends) {
        release_calls(k, ed);
    }
    add_written(k);
    if (k->answer != NULL) {
        count_end(k, had_begun, was_open);
    }
    k->said = NULL;
    k->position++;
    k->choice = json_next(ed->x, k->choice);
}

/* Counts a piece of what the choice says. */
static void count(struct openai_cursor *k, int64_t *budget)
{
    size_t most = *budget < INT32_MAX ? (size_t)*budget * COUNT_FLOAT_BYTES : SIZE_MAX;
    size_t left = most;
    k->is_counting = !openai_count_step(&k->count, &left);
    *budget -= (int64_t)((most - left) / COUNT_FLOAT_BYTES);
}

enum err openai_cursor_step(struct openai_cursor *k, const struct openai_ed *ed, int64_t *budget)
{
    enum err e = ERR_OK;
    while (e == ERR_OK && *budget > 0 && !k->is_done) {
        if (k->said == NULL && k->choice == JSON_NONE) {
            k->is_done = true;
        } else if (k->said == NULL) {
            *budget -= OPENAI_CHOICE_FLOATS + json_row(ed->x, k->choice)->len / FLOAT_BYTES;
            e = begin_choice(k, ed);
        } else if (k->is_counting) {
            count(k, budget);
        } else if (k->call != JSON_NONE) {
            *budget -= OPENAI_CHOICE_FLOATS + json_row(ed->x, k->call)->len / FLOAT_BYTES;
            edit_call(k, ed);
        } else {
            end_choice(k, ed);
        }
    }
    return e;
}
