/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a choice ended, in OpenAI's words: typed clients know no others, and agents go on only after
 * "tool_calls". What servers say is compared without case and without what stands between words.
 */
#include "openai/openai_internal.h"
#include "json/json_value.h"

#define REASON_BYTES 40  /* a longer one is nobody's word, */
#define SAID_BYTES   256 /* nor one with so much between its letters */

static const struct {
    enum openai_reason reason;
    const char *words; /* between blanks */
} known[] = {
    {OPENAI_NO_REASON, " null none "},
    {OPENAI_STOP, " stop eos eostoken endturn stopsequence abort aborted end done complete "
                  "completed finished "},
    {OPENAI_LENGTH, " length maxtokens maxlength maxnewtokens maxoutputtokens tokenlimit "
                    "modellength contextlength contextwindow modelcontextwindowexceeded "
                    "incomplete "},
    {OPENAI_TOOL_CALLS, " toolcalls toolcall tooluse tools "},
    {OPENAI_CONTENT_FILTER, " contentfilter contentfiltered filtered safety recitation blocklist "
                            "prohibitedcontent spii sensitive refusal guardrail "
                            "guardrailintervened "},
    {OPENAI_FUNCTION_CALL, " functioncall "},
};

static const char *const texts[] = {
    [OPENAI_NO_REASON] = "null",
    [OPENAI_STOP] = "\"stop\"",
    [OPENAI_LENGTH] = "\"length\"",
    [OPENAI_TOOL_CALLS] = "\"tool_calls\"",
    [OPENAI_CONTENT_FILTER] = "\"content_filter\"",
    [OPENAI_FUNCTION_CALL] = "\"function_call\"",
    [OPENAI_FAILED] = "\"error\"",
};
struct span openai_reason_text(enum openai_reason reason)
{
    return span_of(texts[reason]);
}

/* " word ", of letters alone, in lower case; empty if there are none, or too many. */
static struct span simplified(struct span said, char room[REASON_BYTES + 3])
{
    size_t len = 0;
    if (said.len > SAID_BYTES) {
        return SPAN("");
    }
    room[len++] = ' ';
    for (size_t i = 0; i < said.len; i++) {
        uint8_t c = said.at[i] | 0x20;
        if (c >= 'a' && c <= 'z') {
            if (len > REASON_BYTES) {
                return SPAN("");
            }
            room[len++] = (char)c;
        }
    }
    room[len++] = ' ';
    room[len] = '\0';
    return len > 2 ? span_make(room, len) : SPAN("");
}

/* Words of servers that nobody thought of: whoever speaks of an error has failed, and all else is
 * an end. */
static enum openai_reason guess(const char *word)
{
    static const char *const failures[] = {"error", "fail", "insufficient"};
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        if (strstr(word, failures[i]) != NULL) {
            return OPENAI_FAILED;
        }
    }
    return OPENAI_STOP;
}

enum openai_reason openai_reason_read(const struct json_index *x, uint32_t row)
{
    if (row == JSON_NONE || json_kind(x, row) == JSON_NULL || json_kind(x, row) == JSON_FALSE) {
        return OPENAI_NO_REASON;
    }
    if (json_kind(x, row) != JSON_STRING) {
        return OPENAI_STOP;
    }
    struct span source = json_source(x, row);
    for (int r = OPENAI_STOP; r < OPENAI_FAILED; r++) {
        if (span_is(source, texts[r])) {
            return (enum openai_reason)r;
        }
    }
    char room[REASON_BYTES + 3];
    struct span word = simplified(json_inside(x, row), room);
    if (word.len == 0) {
        return json_inside(x, row).len == 0 ? OPENAI_NO_REASON : OPENAI_STOP;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strstr(known[i].words, room) != NULL) {
            return known[i].reason;
        }
    }
    return guess(room);
}

void openai_edit_reason(const struct openai_ed *ed, uint32_t row, struct openai_choice *c)
{
    enum openai_reason reason = openai_reason_read(ed->x, row);
    if (c->tool_count > 0 && (reason == OPENAI_STOP || reason == OPENAI_FUNCTION_CALL)) {
        reason = OPENAI_TOOL_CALLS;
    }
    if (row != JSON_NONE && !span_equal(json_source(ed->x, row), openai_reason_text(reason))) {
        json_edits_set_value_borrow(ed->edits, row, openai_reason_text(reason));
    }
    if (reason != OPENAI_NO_REASON) {
        c->reason = (uint8_t)reason;
    }
}
