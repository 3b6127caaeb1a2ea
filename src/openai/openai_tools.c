/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A delta names its call by index, and clients put the pieces together by it. Servers leave it out,
 * or say 0 for every call; they leave ids out, repeat them, or make a new one for each delta. So
 * what a delta means is seen from all three: index, id and name.
 *
 *   the index is new                                    a call begins
 *   no index; another id, or a name where ids lack      a call begins
 *   the last index again, another id and another name   a call begins, under an index of ours
 *   all else                                            a call goes on
 */
#include <stdio.h>

#include "base/map.h"
#include "base/memory.h"
#include "openai/openai_internal.h"
#include "json/json_value.h"

#define MEMBER_BYTES 64 /* of a member with a number or a call id */

static bool is_text(const struct json_index *x, uint32_t row)
{
    return row != JSON_NONE && json_kind(x, row) == JSON_STRING && json_inside(x, row).len > 0;
}

/* Whether the delta has an id, and not the one that was said last. */
static bool is_another_id(const struct openai_tools *t, const struct json_index *x, uint32_t id)
{
    return is_text(x, id) && map_hash(json_inside(x, id)) != t->id;
}

static uint32_t name_of(const struct json_index *x, uint32_t tool)
{
    return openai_member(x, openai_member(x, tool, SPAN("function")), SPAN("name"));
}

/* Which call a delta without an index is of. */
static int64_t guess_index(const struct openai_tools *t, const struct json_index *x, uint32_t tool)
{
    uint32_t id = openai_member(x, tool, SPAN("id"));
    bool begins = t->begun == 0 || is_another_id(t, x, id) ||
                  (!is_text(x, id) && is_text(x, name_of(x, tool)));
    return begins ? t->begun : t->begun - 1;
}

/* Which call a delta with index `said` is of. */
static int64_t true_index(struct openai_tools *t, const struct json_index *x, uint32_t tool,
                          int64_t said)
{
    int64_t index = t->moved_to != 0 && said == t->moved_from ? t->moved_to : said;
    if (index < 0 || index >= OPENAI_TOOLS_MAX || index != t->last ||
        !openai_bit(t->named, index) || t->begun == OPENAI_TOOLS_MAX) {
        return index;
    }
    uint32_t id = openai_member(x, tool, SPAN("id"));
    if (t->id != 0 && is_another_id(t, x, id) && is_text(x, name_of(x, tool))) {
        index = t->begun;
        t->moved_from = (uint8_t)said; /* below 128: it was this call's */
        t->moved_to = (uint8_t)index;
    }
    return index;
}

/* Makes the delta say which call it is of. */
static int64_t edit_index(struct openai_tools *t, const struct json_index *x, uint32_t tool,
                          struct json_edits *edits)
{
    char member[MEMBER_BYTES];
    int64_t said, index;
    uint32_t row = openai_member(x, tool, SPAN("index"));
    if (row != JSON_NONE && json_int64(x, row, &said) == ERR_OK) {
        index = true_index(t, x, tool, said);
        if (index == said) {
            return index;
        }
    } else {
        index = guess_index(t, x, tool);
        if (index >= OPENAI_TOOLS_MAX) {
            return index; /* one index for all that follow would join them */
        }
    }
    (void)snprintf(member, sizeof(member), "\"index\":%lld", (long long)index); /* fits */
    openai_remove_member(x, tool, SPAN("index"), edits);
    openai_add_member(edits, tool, member);
    return index;
}

static struct span made_id(const struct openai_plan *plan, uint32_t choice, int64_t index,
                           char member[MEMBER_BYTES])
{
    char of_choice[16] = ""; /* the ids of all calls differ */
    if (choice > 0) {
        (void)snprintf(of_choice, sizeof(of_choice), "%u_", choice); /* fits */
    }
    (void)snprintf(member, MEMBER_BYTES, "\"id\":\"call_%.*s_%s%lld\"", SPAN_ARGS(plan->call_id),
                   of_choice, (long long)index); /* the call's id has 26 characters */
    return span_of(member);
}

/* `begun`: an earlier delta of this call was there. The name is sent once, when it comes. */
static void edit_name(struct openai_tools *t, const struct json_index *x, uint32_t tool,
                      int64_t index, bool begun, struct json_edits *edits)
{
    uint32_t function = openai_member(x, tool, SPAN("function"));
    if (function == JSON_NONE || json_kind(x, function) != JSON_OBJECT) {
        openai_remove_member(x, tool, SPAN("function"), edits);
        openai_add_member(edits, tool,
                          begun ? "\"function\":{}"
                                : "\"function\":{\"name\":\"\",\"arguments\":\"\"}");
        return;
    }
    if (is_text(x, json_find(x, function, SPAN("name")))) {
        if (openai_bit_mark(t->named, index)) {
            openai_remove_member(x, function, SPAN("name"), edits);
        }
    } else {
        openai_remove_member(x, function, SPAN("name"), edits);
        if (!begun) {
            openai_add_member(edits, function, "\"name\":\"\"");
        }
    }
}

/* The first delta of a call carries index, id and name; later ones must not repeat id and name, for
 * some clients put the pieces together. */
static void edit_tool(struct openai_stream *s, struct openai_tools *t, const struct json_index *x,
                      uint32_t choice, uint32_t tool, struct json_edits *edits)
{
    int64_t index = edit_index(t, x, tool, edits);
    if (index < 0 || index >= OPENAI_TOOLS_MAX) {
        return;
    }
    uint32_t id = openai_member(x, tool, SPAN("id"));
    bool begun = openai_bit_mark(t->seen, index);
    if (is_text(x, id)) {
        t->id = map_hash(json_inside(x, id));
    } else if (!begun) {
        t->id = 0; /* the last one was of another call */
    }
    if (begun) {
        openai_remove_member(x, tool, SPAN("id"), edits);
    } else if (!is_text(x, id)) {
        char member[MEMBER_BYTES];
        openai_remove_member(x, tool, SPAN("id"), edits);
        openai_add_member(edits, tool, (const char *)made_id(s->plan, choice, index, member).at);
    }
    edit_name(t, x, tool, index, begun, edits);
    t->last = (uint8_t)index;
    if (index >= t->begun) {
        t->begun = (uint8_t)(index + 1);
    }
}

/* What is known of a choice's calls; NULL without memory. Few streams have calls in more than one
 * choice, so the others' place is made when it is needed. */
static struct openai_tools *tools_of(struct openai_stream *s, uint32_t choice)
{
    if (choice == 0) {
        return &s->tools;
    }
    if (choice > s->other_tools_count) {
        uint32_t count = s->other_tools_count == 0 ? 1 : s->other_tools_count;
        while (count < choice) {
            count *= 2; /* 128 at most: choice is below it */
        }
        struct openai_tools *more = memory_resize(s->other_tools, count * sizeof(*more));
        if (more == NULL) {
            return NULL;
        }
        memset(more + s->other_tools_count, 0, (count - s->other_tools_count) * sizeof(*more));
        s->other_tools = more;
        s->other_tools_count = count;
    }
    return &s->other_tools[choice - 1];
}

void openai_edit_tools(struct openai_stream *s, const struct json_index *x, uint32_t choice,
                       uint32_t delta, struct json_edits *edits)
{
    CHECK(choice < OPENAI_CHOICES_MAX);
    uint32_t tools = openai_member(x, delta, SPAN("tool_calls"));
    if (tools == JSON_NONE || json_kind(x, tools) != JSON_ARRAY) {
        return;
    }
    struct openai_tools *t = tools_of(s, choice);
    if (t == NULL) {
        edits->failed = true;
        return;
    }
    for (uint32_t tool = json_first(x, tools); tool != JSON_NONE; tool = json_next(x, tool)) {
        if (json_kind(x, tool) == JSON_OBJECT) {
            edit_tool(s, t, x, choice, tool, edits);
        }
    }
}

void openai_edit_whole_tools(const struct openai_plan *plan, const struct json_index *x,
                             uint32_t choice, uint32_t message, struct json_edits *edits)
{
    uint32_t tools = openai_member(x, message, SPAN("tool_calls"));
    if (tools == JSON_NONE || json_kind(x, tools) != JSON_ARRAY) {
        return;
    }
    int64_t index = 0;
    for (uint32_t tool = json_first(x, tools); tool != JSON_NONE; tool = json_next(x, tool)) {
        if (json_kind(x, tool) == JSON_OBJECT && !is_text(x, json_find(x, tool, SPAN("id")))) {
            char member[MEMBER_BYTES];
            openai_remove_member(x, tool, SPAN("id"), edits);
            openai_add_member(edits, tool, (const char *)made_id(plan, choice, index, member).at);
        }
        if (openai_member(x, tool, SPAN("function")) != JSON_NONE &&
            openai_member(x, tool, SPAN("type")) == JSON_NONE) {
            openai_remove_member(x, tool, SPAN("type"), edits);
            openai_add_member(edits, tool, "\"type\":\"function\"");
        }
        index++;
    }
}
