/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A segment's first record says when it began; its header does not, which may have been written
 * ahead of time. The last segment that began before the time asked for is found by halving, which
 * opens some 10 of 1,000.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/memory.h"
#include "journal/journal_reader.h"
#include "journal/journal_segment.h"

int64_t journal_written_ms(const struct journal_record *r)
{
    switch ((enum journal_kind)r->kind) {
    case JOURNAL_INTENT:
        return r->attempt_ms;
    case JOURNAL_TRY_END:
    case JOURNAL_COMPLETION:
        return r->ended_ms;
    case JOURNAL_ADMIN:
    case JOURNAL_RECOVERY:
    case JOURNAL_ORIGIN:
    case JOURNAL_NO_KIND:
    case JOURNAL_KIND_COUNT:
        break;
    }
    return r->started_ms;
}

/* When the segment's first record was written; INT64_MAX if it has none, or none that can be read:
 * whoever reads on from before it will see. */
static int64_t began_ms(const char *folder, uint64_t first)
{
    struct journal_reader *r = NULL;
    struct journal_place where;
    struct journal_record record;
    uint64_t sequence;
    int64_t ms = INT64_MAX;
    struct journal_group *group = memory_new(sizeof(*group));
    enum err e = group == NULL ? ERR_NO_MEMORY : journal_reader_open(folder, first, &where, &r);
    bool found = false;
    while (e == ERR_OK && !found) {
        struct span line;
        e = journal_reader_next(r, group, &sequence);
        found = e == ERR_OK && journal_frame_next(&group->frames, &line);
        if (found && journal_record_parse(line, &record, NULL) == ERR_OK) {
            ms = journal_written_ms(&record);
        }
    }
    journal_reader_close(&r);
    memory_free(group);
    return ms;
}

enum err journal_seek(const char *folder, int64_t since_ms, uint64_t *out)
{
    uint64_t *firsts = NULL;
    size_t count = 0;
    int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err e = folder_fd < 0 ? ERR_FILE : journal_segment_list(folder_fd, &firsts, &count);
    if (e == ERR_OK && count > 0) {
        size_t low = 0, high = count; /* firsts[low] is early enough, firsts[high] is not */
        while (high - low > 1) {
            size_t middle = low + (high - low) / 2;
            if (began_ms(folder, firsts[middle]) < since_ms) {
                low = middle;
            } else {
                high = middle;
            }
        }
        *out = firsts[low];
    }
    memory_free(firsts);
    if (folder_fd >= 0) {
        (void)close(folder_fd); /* only read from */
    }
    return e;
}
