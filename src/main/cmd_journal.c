/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas journal print | check`: reads the segments, also beside a running gateway. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cli_data.h"
#include "cli/cli_options.h"
#include "journal/journal_reader.h"
#include "main/commands.h"
#include "settings/settings.h"

#define PROBLEMS_BYTES_MAX (128u << 10)

/* What is done with each record, and what is found on the way. */
struct pass {
    bool print; /* else every record is read and counted */
    uint64_t from;
    struct journal_group group;
    uint64_t records, kinds[JOURNAL_KIND_COUNT], outcomes[JOURNAL_OUTCOME_COUNT], sent;
    uint64_t groups, first, last;
};

static enum err count_record(struct pass *p, struct span line, uint64_t sequence)
{
    struct journal_record record;
    enum err e = journal_record_parse(line, &record);
    if (e == ERR_OK && (uint64_t)record.sequence == sequence) {
        p->kinds[record.kind]++;
        p->outcomes[record.outcome]++;
        p->sent += record.attempts_sent;
        return ERR_OK;
    }
    fprintf(stderr, "atlas: record %" PRIu64 " is not as Atlas writes it\n", sequence);
    return ERR_JOURNAL_BROKEN;
}

static enum err print_record(struct span line)
{
    return fwrite(line.at, 1, line.len, stdout) == line.len && putchar('\n') != EOF ? ERR_OK
                                                                                    : ERR_FILE;
}

static enum err each_record(struct pass *p, uint64_t first)
{
    enum err e = ERR_OK;
    struct span frames = p->group.frames;
    for (struct span line; e == ERR_OK && journal_frame_next(&frames, &line); first++) {
        if (first < p->from) {
            continue;
        }
        p->first = p->records == 0 ? first : p->first;
        p->last = first;
        p->records++;
        e = p->print ? print_record(line) : count_record(p, line, first);
    }
    return e;
}

static enum err each_group(struct pass *p, struct journal_reader *r)
{
    enum err e;
    uint64_t first;
    while ((e = journal_reader_next(r, &p->group, &first)) == ERR_OK) {
        p->groups += p->group.commit.records > 0;
        e = each_record(p, first);
        if (e != ERR_OK) {
            return e;
        }
    }
    return e == ERR_NOT_FOUND_ROW ? ERR_OK : e;
}

static void print_counts(const struct pass *p, const struct journal_reader *r)
{
    printf("segments     %zu\ngroups       %" PRIu64 "\nrecords      %" PRIu64, /* then the range */
           journal_reader_segments(r), p->groups, p->records);
    if (p->records > 0) {
        printf(" (%" PRIu64 " to %" PRIu64 ")", p->first, p->last);
    }
    printf("\nintents      %" PRIu64 "\n  sent       %" PRIu64 "\ncompletions  %" PRIu64 "\n",
           p->kinds[JOURNAL_INTENT], p->sent, p->kinds[JOURNAL_COMPLETION]);
    for (unsigned i = JOURNAL_OUTCOME_OK; i < JOURNAL_OUTCOME_COUNT; i++) {
        printf("  %-11s %" PRIu64 "\n", journal_outcome_name((enum journal_outcome)i),
               p->outcomes[i]);
    }
    printf("recoveries   %" PRIu64 "\n", p->kinds[JOURNAL_RECOVERY]);
    uint64_t tail = journal_reader_tail(r);
    if (tail > 0) {
        struct journal_place place = journal_reader_place(r);
        printf("tail         %" PRIu64 " bytes in %s from byte %" PRIu64
               ", not committed: being written now, or cut off by the next start\n",
               tail, place.file, place.offset);
    }
}

static void print_failure(enum err e, const char *folder, const struct journal_place *place)
{
    if (e == ERR_JOURNAL_BROKEN) {
        fprintf(stderr, "atlas: %s: %s at byte %" PRIu64 " of %s\n", folder, err_sentence(e),
                place->offset, place->file);
    } else if (e == ERR_NOT_FOUND_ROW) {
        fprintf(stderr, "atlas: %s holds no segments from that record on\n", folder);
    } else {
        fprintf(stderr, "atlas: %s: %s\n", folder, err_sentence(e));
    }
}

static int run(struct pass *p, const char *folder)
{
    struct journal_reader *r = NULL;
    struct journal_place place = {0};
    enum err e = journal_reader_open(folder, p->from, &place, &r);
    bool none = e == ERR_FILE;
    if (none) {
        fprintf(stderr, "atlas: there is no journal in %s; `atlas serve` makes it\n", folder);
    } else if (e == ERR_OK) {
        e = each_group(p, r);
        place = journal_reader_place(r);
    }
    if (e == ERR_OK && !p->print) {
        print_counts(p, r);
    }
    if (e == ERR_OK && fflush(stdout) != 0) {
        e = ERR_FILE;
    }
    if (e != ERR_OK && !none) {
        print_failure(e, folder, &place);
    }
    journal_reader_close(&r);
    return e == ERR_OK ? CLI_DONE : CLI_FAILED;
}

/* Writes the journal's folder to `out`, as the configuration at `path` has it. */
static bool find_folder(const char *path, char out[CLI_PATH_MAX])
{
    struct buf problems;
    struct settings *settings = NULL;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open(path, &problems, &settings);
    if (e == ERR_CONFIG) {
        fprintf(stderr, "%.*s", SPAN_ARGS(buf_span(&problems)));
    } else if (e == ERR_OK) {
        e = cli_data_path(settings->data, "journal", out);
    }
    if (e != ERR_OK && e != ERR_CONFIG) {
        fprintf(stderr, "atlas: %s: %s\n", path, err_sentence(e));
    }
    buf_fini(&problems);
    settings_close(&settings);
    return e == ERR_OK;
}

int main_journal(int argc, char **argv)
{
    static const char *const names[] = {"print", "check"};
    const char *path = CLI_CONFIG_DEFAULT;
    const char *action = "";
    const char *from = "1";
    char folder[CLI_PATH_MAX];
    const struct cli_option options[] = {
        {NULL, "ACTION", "print: the records, a line each; check: every byte, and counts",
         .text = &action},
        {"config", "F", "The configuration; " CLI_CONFIG_DEFAULT " if not given", .text = &path},
        {"from", "N", "Begin with record number N", .text = &from},
    };
    int status = cli_options(argc, argv, "atlas journal print|check [--config F] [--from N]",
                             options, sizeof(options) / sizeof(options[0]));
    if (status != CLI_GO_ON) {
        return status;
    }
    bool print = strcmp(action, names[0]) == 0;
    if (!print && strcmp(action, names[1]) != 0) {
        return cli_unknown("action", action, names, 2);
    }
    struct pass *p = memory_new(sizeof(*p));
    status = CLI_FAILED;
    if (p == NULL) {
        fprintf(stderr, "atlas: %s\n", err_sentence(ERR_NO_MEMORY));
    } else if (!span_to_u64(span_of(from), JOURNAL_NUMBER_MAX, &p->from)) {
        fprintf(stderr, "atlas: --from %s is not the number of a record\n", from);
        status = CLI_MISUSED;
    } else if (find_folder(path, folder)) {
        p->print = print;
        status = run(p, folder);
    }
    memory_free(p);
    return status;
}
