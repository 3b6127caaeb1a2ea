/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/openai_usage.h"

#include <stdio.h>

#include "base/memory.h"
#include "openai/openai_internal.h"
#include "text/text_tokens.h"
#include "json/json_value.h"

#define TEXT_MAX     (16u << 10)
#define MEMBER_BYTES 48 /* of a count */
#define NUMBER_MAX   (INT64_C(1) << 53)
#define HIDDEN_MAX   (INT64_C(1) << 20) /* tokens used and not seen: thoughts, pictures */

/* Of ours that one of theirs can be, on an average: a line of a table is 16 characters of box
 * drawing a token, of two of ours each. */
#define OURS_A_TOKEN 32

/* A count of tokens: whole, not negative, and small enough to add up. */
static bool read_count(const struct json_index *x, uint32_t row, int64_t *out)
{
    int64_t value;
    if (row == JSON_NONE || json_int64(x, row, &value) != ERR_OK || value < 0 ||
        value > NUMBER_MAX) {
        return false;
    }
    *out = value;
    return true;
}

static bool read_tokens(const struct json_index *x, uint32_t object, struct span name, int64_t *out)
{
    return read_count(x, openai_member(x, object, name), out);
}

static bool read_timings(const struct json_index *x, uint32_t timings, struct openai_usage *out)
{
    int64_t cached = 0; /* older servers do not say it */
    struct openai_usage read = {.has_input = true, .has_output = true};
    if (!read_tokens(x, timings, SPAN("prompt_n"), &read.input_tokens) ||
        !read_tokens(x, timings, SPAN("predicted_n"), &read.output_tokens)) {
        return false;
    }
    read.cached_tokens = read_tokens(x, timings, SPAN("cache_n"), &cached) ? cached : 0;
    read.input_tokens += read.cached_tokens;
    *out = read;
    return true;
}

bool openai_usage_read(const struct json_index *x, uint32_t usage, uint32_t timings,
                       struct openai_usage *out)
{
    struct openai_usage read = {.text = NULL};
    if (openai_is_kind(x, usage, JSON_OBJECT)) {
        read.has_input = read_tokens(x, usage, SPAN("prompt_tokens"), &read.input_tokens);
        read.has_output = read_tokens(x, usage, SPAN("completion_tokens"), &read.output_tokens);
    }
    if (!openai_usage_is_known(&read)) {
        return openai_is_kind(x, timings, JSON_OBJECT) && read_timings(x, timings, out);
    }
    (void)read_tokens(x, openai_member(x, usage, SPAN("prompt_tokens_details")),
                      SPAN("cached_tokens"), &read.cached_tokens); /* few servers say it */
    (void)read_tokens(x, openai_member(x, usage, SPAN("completion_tokens_details")),
                      SPAN("reasoning_tokens"), &read.reasoning_tokens);
    *out = read;
    return true;
}

/* ---- what clients read ---- */

enum { INPUT, OUTPUT, TOTAL, COUNTS };

/* What stands in the place of a count that is none (-1): what the others leave of the total, or 0,
 * which clients can add. */
static void fill_counts(int64_t said[COUNTS])
{
    for (int i = INPUT; i <= OUTPUT; i++) {
        int64_t other = said[i == INPUT ? OUTPUT : INPUT];
        if (said[i] < 0) {
            said[i] = other >= 0 && said[TOTAL] >= other ? said[TOTAL] - other : 0;
        }
    }
    said[TOTAL] = said[TOTAL] < 0 ? said[INPUT] + said[OUTPUT] : said[TOTAL];
}

/* Makes the member `name`, whose key is `key` or is not there, this number. */
static void set_count(struct json_edits *edits, uint32_t usage, uint32_t key, const char *name,
                      int64_t count)
{
    char text[MEMBER_BYTES];
    int len = snprintf(text, sizeof(text), "\"%s\":%lld", name, (long long)count); /* fits */
    struct span member = arena_copy(edits->arena, span_make(text, (size_t)len));
    if (member.at == NULL) {
        json_edits_fail(edits, arena_error(edits->arena));
    } else if (key == JSON_NONE) {
        json_edits_add_member_borrow(edits, usage, JSON_AT_END, member);
    } else {
        json_edits_set_value_borrow(edits, key + 1, span_cut(member, strlen(name) + 3, member.len));
    }
}

void openai_usage_edit(struct json_edits *edits, uint32_t usage, bool has_output)
{
    static const char *const names[COUNTS] = {"prompt_tokens", "completion_tokens", "total_tokens"};
    const struct json_index *x = edits->index;
    uint32_t keys[COUNTS];
    int64_t said[COUNTS];
    bool is_good[COUNTS], says_any = false;
    for (int i = 0; i < COUNTS; i++) {
        keys[i] = openai_member_key(x, usage, span_of(names[i]));
        bool is_there = keys[i] != JSON_NONE;
        is_good[i] =
            is_there ? openai_is_count(x, keys[i] + 1, &said[i]) : i == OUTPUT && !has_output;
        if (!is_there || !is_good[i] || said[i] > NUMBER_MAX) {
            said[i] = is_there && read_count(x, keys[i] + 1, &said[i]) ? said[i] : -1;
        }
        says_any = says_any || is_there;
    }
    fill_counts(said);
    for (int i = 0; i < COUNTS && says_any; i++) {
        if (!is_good[i]) {
            set_count(edits, usage, keys[i], names[i], said[i]);
        }
    }
}

/* ---- what is kept of a stream's ---- */

/* Line ends are blanks in JSON, and must not be in an event. */
static void copy_line(uint8_t *to, struct span from)
{
    for (size_t i = 0; i < from.len; i++) {
        to[i] = from.at[i] == '\n' || from.at[i] == '\r' ? ' ' : from.at[i];
    }
}

/* Makes room for so many bytes; false if that is too much. */
static bool make_room(struct openai_usage *u, size_t len)
{
    if (len > u->text_room && len <= TEXT_MAX) {
        openai_usage_fini(u);
        u->text = memory_raw_counted(len * 2);
        u->text_room = u->text == NULL ? 0 : (uint32_t)len * 2;
    }
    return len <= u->text_room;
}

static void keep_text(struct openai_usage *u, struct json_edits *edits, uint32_t usage)
{
    struct span text = json_edits_value(edits, usage);
    u->text_len = 0;
    if (text.at != NULL && make_room(u, text.len)) {
        copy_line(u->text, text);
        u->text_len = (uint32_t)text.len;
    }
}

bool openai_usage_keep(struct openai_usage *u, struct json_edits *edits, uint32_t usage,
                       uint32_t timings, uint64_t written)
{
    struct openai_usage said;
    if (!openai_usage_read(edits->index, usage, timings, &said)) {
        return false;
    }
    bool is_nothing = said.input_tokens == 0 && said.output_tokens == 0;
    if (is_nothing || said.output_tokens < u->output_tokens) {
        return true;
    }
    u->input_tokens = said.has_input ? said.input_tokens : u->input_tokens;
    u->output_tokens = said.output_tokens;
    u->cached_tokens = said.has_input ? said.cached_tokens : u->cached_tokens;
    u->reasoning_tokens = said.reasoning_tokens;
    u->has_input = u->has_input || said.has_input;
    u->has_output = u->has_output || said.has_output;
    u->written = written;
    if (openai_is_kind(edits->index, usage, JSON_OBJECT)) {
        keep_text(u, edits, usage);
    }
    return true;
}

void openai_usage_fini(struct openai_usage *u)
{
    memory_free_counted(u->text);
    u->text = NULL;
    u->text_len = u->text_room = 0;
}

static int64_t tokens_of(uint64_t eighths)
{
    return (int64_t)text_tokens_of(eighths);
}

static int64_t least_of(int64_t ours)
{
    return (ours + OURS_A_TOKEN - 1) / OURS_A_TOKEN;
}

bool openai_usage_is_plain(const struct openai_usage *said, size_t bytes, int64_t asked)
{
    /* No text has more tokens, as we count, than bytes. */
    return said->has_output && said->output_tokens >= least_of((int64_t)bytes) &&
           said->output_tokens <= (asked >= 0 && asked < HIDDEN_MAX ? asked : HIDDEN_MAX);
}

/* A server may have cut the request short, so one that is less than ours can be; but not none. */
static void settle_input(const struct openai_usage *said, const struct openai_seen *seen,
                         struct openai_settled *out)
{
    bool is_void = said->input_tokens == 0 && seen->input_estimate > 0;
    out->input = seen->input_estimate;
    out->input_estimated = !seen->input_is_exact;
    if (said->has_input && !is_void &&
        said->input_tokens <= (int64_t)seen->body_bytes + HIDDEN_MAX) {
        out->input = said->input_tokens;
        out->input_estimated = false;
    }
    out->cached = said->cached_tokens < out->input ? said->cached_tokens : out->input;
}

/* The number is right, as far as one can see: the three ways in which it cannot be. As much as was
 * asked for is never too little: a completion may say its prompt again, which nobody generated. */
static void settle_output(const struct openai_usage *said, const struct openai_seen *seen,
                          struct openai_settled *out)
{
    int64_t ours = tokens_of(seen->written), least = least_of(ours), most = ours + HIDDEN_MAX;
    int64_t output = said->output_tokens;
    if (seen->written > said->written) { /* more was said since */
        output += tokens_of(seen->written - said->written);
    }
    bool is_bound = seen->asked >= 0 && seen->asked <= most; /* who asks for more sets no bound */
    if (is_bound) {
        most = seen->asked > ours ? seen->asked : ours;
        least = seen->asked < least ? seen->asked : least;
    }
    if (output > most) {
        output = is_bound ? most : ours;
    }
    output = output < least ? least : output;
    out->output = output;
    out->output_estimated = output != said->output_tokens;
}

struct openai_settled openai_usage_settle(const struct openai_usage *said,
                                          const struct openai_seen *seen)
{
    struct openai_settled out = {0};
    settle_input(said, seen, &out);
    if (!seen->has_output) {
        return out;
    }
    bool is_void = said->output_tokens == 0 && seen->written > 0 && seen->asked != 0;
    if (said->has_output && !is_void) {
        settle_output(said, seen, &out);
    } else {
        out.output = tokens_of(seen->written);
        out.output_estimated = true;
    }
    out.reasoning = said->reasoning_tokens < out.output ? said->reasoning_tokens : out.output;
    return out;
}
