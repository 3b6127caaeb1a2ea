/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy_history.h"

#include <stdio.h>

#include "crypto/random.h"
#include "store/store_change.h"
#include "store/store_tables.h"

#define ID_BYTES     32
#define DROPPED_MOST 16 /* at once: whoever keeps to less than before does not wait for all */

/* What the rows say together. */
struct scan {
    int64_t count, bytes, last; /* `last`: the largest version */
    struct policy_version newest;
    struct store_policy oldest; /* its texts are in the two below */
    char oldest_id[ID_BYTES], oldest_actor[POLICY_ACTOR_BYTES];
};

static enum err on_row(void *context, const void *given)
{
    struct scan *scan = context;
    const struct store_policy *row = given;
    if (row->is_damaged) {
        return ERR_OK;
    }
    if (scan->count++ == 0) {
        scan->oldest = *row;
        span_copy_text(row->id, scan->oldest_id, sizeof(scan->oldest_id));
        span_copy_text(row->actor, scan->oldest_actor, sizeof(scan->oldest_actor));
        scan->oldest.id = span_of(scan->oldest_id);
        scan->oldest.actor = span_of(scan->oldest_actor);
    }
    scan->bytes += row->bytes;
    scan->last = row->version > scan->last ? row->version : scan->last;
    scan->newest.version = row->version;
    scan->newest.since = row->since;
    memcpy(scan->newest.digest, row->digest, sizeof(row->digest));
    memcpy(scan->newest.text, row->text, sizeof(row->text));
    span_copy_text(row->actor, scan->newest.actor, sizeof(scan->newest.actor));
    return ERR_OK;
}

static enum err scan_rows(struct store *s, struct scan *scan)
{
    const struct store_policy from = {.number = 0};
    const struct store_page page = {.from = &from, .after = true, .limit = INT64_MAX};
    *scan = (struct scan){.count = 0};
    enum err e =
        store_change_page(s, STORE_TABLE_POLICY, STORE_INDEX_POLICY_BY_NUMBER, &page, on_row, scan);
    return e == ERR_NOT_FOUND_ROW ? ERR_OK : e;
}

/* Old versions go: their rows, each with a record, and then their files. */
static enum err drop_old(struct store *s, const char *data, struct span actor, unsigned *dropped)
{
    struct scan scan;
    enum err e = scan_rows(s, &scan);
    while (e == ERR_OK && *dropped < DROPPED_MOST && scan.count > 1 &&
           (scan.count > POLICY_VERSIONS_MAX || scan.bytes > POLICY_VERSIONS_BYTES_MAX)) {
        e = store_change(s, STORE_TABLE_POLICY, &scan.oldest, true, "policy.drop", actor);
        if (e == ERR_OK) {
            policy_archive_drop(data, scan.oldest.digest, scan.oldest.version);
            (*dropped)++;
            e = store_catch_up(s);
        }
        e = e == ERR_OK ? scan_rows(s, &scan) : e;
    }
    return e;
}

static enum err put(struct store *s, const char *data, struct span text,
                    const struct policy_version *v)
{
    char id[ID_BYTES];
    struct store_policy row = {
        .version = v->version, .bytes = (int64_t)text.len, .since = v->since};
    (void)snprintf(id, sizeof(id), "policy_%lld", (long long)v->version); /* fits */
    row.id = span_of(id);
    row.actor = span_of(v->actor);
    memcpy(row.digest, v->digest, sizeof(row.digest));
    memcpy(row.text, v->text, sizeof(row.text));
    enum err e = policy_archive_put(data, v->digest, v->version, text);
    e = e == ERR_OK ? store_change(s, STORE_TABLE_POLICY, &row, false, "policy.apply", row.actor)
                    : e;
    return e == ERR_OK ? store_settle(s) : e;
}

enum err policy_history_record(struct store *s, const char *data, struct span text,
                               struct policy_version *v, unsigned *dropped)
{
    struct scan scan;
    *dropped = 0;
    crypto_sha256(text, v->text);
    enum err e = store_change_begin(s);
    e = e == ERR_OK ? scan_rows(s, &scan) : e;
    if (e != ERR_OK) {
        return e;
    }
    if (scan.newest.version > 0 && crypto_equal(scan.newest.text, v->text, sizeof(v->text)) &&
        crypto_equal(scan.newest.digest, v->digest, sizeof(v->digest))) {
        *v = scan.newest;
        return ERR_OK;
    }
    v->version = scan.last + 1;
    e = put(s, data, text, v);
    if (e == ERR_OK) {
        enum err follows = store_catch_up(s);
        /* Both are tried again when the next one is recorded. */
        follows = follows == ERR_OK ? drop_old(s, data, span_of(v->actor), dropped) : follows;
        (void)follows;
    }
    return e;
}
