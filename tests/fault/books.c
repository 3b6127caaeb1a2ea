/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal is the truth: each call in it has one completion, each request that the model server
 * saw has its intent, and the store has summed all completions, none twice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "cli/cli_data.h"
#include "crypto/call_id.h"
#include "fault.h"
#include "journal/journal_reader.h"
#include "store/store.h"
#include "store/store_usage.h"

#define RECORDS_MAX 262144

struct entry {
    uint8_t id[JOURNAL_ID_BYTES];
    uint32_t intents, completions, seen;
};

static struct entry entries[RECORDS_MAX];
static size_t entry_count;
static int64_t completions;

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, JOURNAL_ID_BYTES);
}

static void note(const uint8_t id[JOURNAL_ID_BYTES], uint32_t intents, uint32_t ended,
                 uint32_t seen)
{
    if (entry_count == RECORDS_MAX) {
        fault_wrong("there are more records than this test can hold");
        return;
    }
    struct entry *e = &entries[entry_count++];
    memcpy(e->id, id, sizeof(e->id));
    e->intents = intents;
    e->completions = ended;
    e->seen = seen;
}

static void read_journal(const struct world *w)
{
    static struct journal_group group;
    char folder[2 * WORLD_PATH];
    struct journal_place place;
    struct journal_reader *reader;
    uint64_t first;
    (void)snprintf(folder, sizeof(folder), "%s/journal", w->data);
    enum err e = journal_reader_open(folder, 0, &place, &reader);
    if (e != ERR_OK) {
        fault_wrong("the journal cannot be read: %s", err_name(e));
        return;
    }
    while ((e = journal_reader_next(reader, &group, &first)) == ERR_OK) {
        struct span line;
        while (journal_frame_next(&group.frames, &line)) {
            struct journal_record r;
            if (journal_record_parse(line, &r, NULL) != ERR_OK) {
                fault_wrong("a record is not one: %.*s", SPAN_ARGS(line));
            } else if (r.kind == JOURNAL_INTENT || r.kind == JOURNAL_COMPLETION) {
                note(r.call_id, r.kind == JOURNAL_INTENT, r.kind == JOURNAL_COMPLETION, 0);
                completions += r.kind == JOURNAL_COMPLETION;
            }
        }
    }
    if (e != ERR_NOT_FOUND_ROW) {
        fault_wrong("the journal ends with %s", err_name(e));
    }
    journal_reader_close(&reader);
}

static void add_seen(void)
{
    for (size_t i = 0; i < peer_seen_count(); i++) {
        uint8_t id[CRYPTO_CALL_ID_BYTES];
        if (crypto_call_id_parse(span_of(peer_seen[i]), id) != ERR_OK) {
            fault_wrong("the model server saw the id %s", peer_seen[i]);
        } else {
            note(id, 0, 0, 1);
        }
    }
}

static void check_calls(void)
{
    qsort(entries, entry_count, sizeof(entries[0]), compare);
    for (size_t from = 0, to; from < entry_count; from = to) {
        struct entry sum = {0};
        for (to = from; to < entry_count && compare(&entries[from], &entries[to]) == 0; to++) {
            sum.intents += entries[to].intents;
            sum.completions += entries[to].completions;
            sum.seen += entries[to].seen;
        }
        if (sum.completions != 1 || sum.seen > sum.intents) {
            fault_wrong("a call has %u intents and %u completions; the model server saw %u",
                        sum.intents, sum.completions, sum.seen);
        }
    }
}

static enum err add_usage(void *context, const struct store_usage *sums)
{
    int64_t *calls = context;
    *calls += sums->calls + sums->refused;
    return ERR_OK;
}

static void check_usage(const struct world *w)
{
    const struct store_usage_filter all = {.from = INT32_MIN, .to = INT32_MAX};
    struct store *store = NULL;
    int64_t calls = 0;
    if (cli_data_open_store(w->data, &store) != ERR_OK ||
        store_usage_list(store, &all, add_usage, &calls) != ERR_OK) {
        fault_wrong("the store cannot be read");
    }
    store_close(&store);
    if (calls != completions) {
        fault_wrong("the store has summed %lld calls, the journal has %lld", (long long)calls,
                    (long long)completions);
    }
}

void books_check_closed(struct world *w)
{
    entry_count = 0;
    completions = 0;
    read_journal(w);
    add_seen();
    check_calls();
    check_usage(w);
}

void books_check(struct world *w)
{
    world_start(w);
    world_stop(w);
    world_close(w);
    books_check_closed(w);
}
