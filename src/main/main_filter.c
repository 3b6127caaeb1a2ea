/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line is strict JCS, so `"key":"ID"` stands in it nowhere but as that member: a quote inside a
 * text is escaped. Whoever asks for a call or a key therefore pays for a search in each line, and
 * for reading it only where it is found. A key's records are those of its calls, of what was done
 * to it, and of what was done with it.
 */
#include "main/main_filter.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto/call_id.h"
#include "journal/journal_reader.h"
#include "keys/key_string.h"
#include "settings/settings_value.h"

#define DAY_MS 86400000

/* Reads a day, a time (UTC) or how long ago. `*is_day` says that it was a day alone. */
static bool read_time(const char *text, wall_us now, int64_t *out_ms, bool *is_day)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S",
                                        "%Y-%m-%dT%H:%M:%SZ"};
    int64_t ago_ms;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm parts = {0};
        const char *end = strptime(text, forms[i], &parts);
        if (end != NULL && *end == '\0') {
            *is_day = i == 0;
            *out_ms = (int64_t)timegm(&parts) * 1000;
            return true;
        }
    }
    if (!settings_number_read(SETTINGS_DURATION, span_of(text), &ago_ms)) {
        return false;
    }
    *is_day = false;
    *out_ms = now.us / 1000 - ago_ms;
    return true;
}

static const char *read_call(const char *text, struct main_filter *out)
{
    char id[CRYPTO_CALL_ID_CHARS + 1];
    if (crypto_call_id_parse(span_of(text), out->call) != ERR_OK) {
        return "--call takes a call's id, the 26 characters of its x-request-id";
    }
    crypto_call_id_write(out->call, id);
    out->has_call = true;
    snprintf(out->call_member, sizeof(out->call_member), "\"call\":\"%s\"", id);
    int64_t made_ms = 0;
    for (size_t i = 0; i < 6; i++) { /* a ULID begins with its time */
        made_ms = made_ms << 8 | out->call[i];
    }
    out->search_from_ms = made_ms;
    return NULL;
}

/* Whoever gives the whole key means the id in it. */
static const char *read_key(const char *text, struct main_filter *out)
{
    struct key_parts parts;
    struct span id = key_string_parse(span_of(text), &parts) == ERR_OK ? parts.id : span_of(text);
    if (id.len != KEY_ID_CHARS || span_find(id, '"', 0) < id.len) {
        return "--key takes a key's id, as `atlas key list` shows it";
    }
    static const char *const names[] = {"key", "object", "actor"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(out->key_members[i], sizeof(out->key_members[i]), "\"%s\":\"%.*s\"", names[i],
                 SPAN_ARGS(id));
    }
    return NULL;
}

static const char *read_times(const struct main_wish *wish, wall_us now, struct main_filter *out)
{
    bool is_day = false;
    if (wish->since != NULL && !read_time(wish->since, now, &out->since_ms, &is_day)) {
        return "--since takes a day or time (UTC), 2026-11-24 or 2026-11-24T10:30, or how long "
               "ago, 90m";
    }
    is_day = false;
    if (wish->until != NULL && !read_time(wish->until, now, &out->until_ms, &is_day)) {
        return "--until takes a day or time (UTC), 2026-11-24 or 2026-11-24T10:30, or how long "
               "ago, 90m";
    }
    out->until_ms += is_day ? DAY_MS - 1 : 0; /* the whole day */
    return out->until_ms < out->since_ms ? "--until is before --since" : NULL;
}

const char *main_filter_read(const struct main_wish *wish, wall_us now, struct main_filter *out)
{
    const char *wrong = NULL;
    *out = (struct main_filter){
        .since_ms = INT64_MIN, .until_ms = INT64_MAX, .search_from_ms = INT64_MIN};
    out->is_set =
        wish->call != NULL || wish->key != NULL || wish->since != NULL || wish->until != NULL;
    if (wish->call != NULL) {
        wrong = read_call(wish->call, out);
    }
    if (wrong == NULL && wish->key != NULL) {
        wrong = read_key(wish->key, out);
    }
    if (wrong == NULL) {
        wrong = read_times(wish, now, out);
    }
    if (wrong == NULL && out->since_ms > out->search_from_ms) {
        out->search_from_ms = out->since_ms;
    }
    return wrong;
}

static bool holds(struct span line, const char *member)
{
    return member[0] == '\0' || memmem(line.at, line.len, member, strlen(member)) != NULL;
}

static bool is_of_key(const struct main_filter *f, struct span line)
{
    return holds(line, f->key_members[0]) || holds(line, f->key_members[1]) ||
           holds(line, f->key_members[2]);
}

/* What a record of the time `ms` is to the times that are asked for. */
static enum main_filtered look_at_time(const struct main_filter *f, int64_t ms)
{
    bool has_end = f->until_ms < INT64_MAX - MAIN_FILTER_SLACK_MS;
    if (has_end && ms > f->until_ms + MAIN_FILTER_SLACK_MS) {
        return MAIN_FILTER_OVER;
    }
    return ms < f->since_ms || ms > f->until_ms ? MAIN_FILTER_NOT : MAIN_FILTER_PASSES;
}

enum main_filtered main_filter_look(const struct main_filter *f, struct span line)
{
    struct journal_record record;
    bool has_times = f->since_ms != INT64_MIN || f->until_ms != INT64_MAX;
    bool is_it = holds(line, f->call_member) && is_of_key(f, line);
    enum main_filtered found = is_it ? MAIN_FILTER_PASSES : MAIN_FILTER_NOT;
    bool tells_more = is_it ? f->has_call || has_times : f->until_ms != INT64_MAX;
    if (!f->is_set || !tells_more || journal_record_parse(line, &record, NULL) != ERR_OK) {
        return found;
    }
    enum main_filtered timely = look_at_time(f, journal_written_ms(&record));
    if (timely != MAIN_FILTER_PASSES || !is_it) {
        return timely == MAIN_FILTER_OVER ? timely : MAIN_FILTER_NOT;
    }
    return f->has_call && record.kind == JOURNAL_COMPLETION ? MAIN_FILTER_LAST : found;
}
