/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas journal print | check`: reads the segments, also beside a running gateway. */
#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"
#include "cli/cli_data.h"
#include "journal/journal_apply.h"
#include "journal/journal_reader.h"
#include "main/commands.h"
#include "main/main_filter.h"
#include "settings/settings.h"
#include "store/store.h"

#define PROBLEMS_BYTES_MAX (128u << 10)

/* What is done with each record, and what is found on the way. */
struct pass {
    bool print;   /* else every record is read and counted */
    bool is_over; /* nothing more can be asked for */
    uint64_t from;
    struct main_filter filter;
    struct journal_group group;
    uint64_t records, kinds[JOURNAL_KIND_COUNT], outcomes[JOURNAL_OUTCOME_COUNT], sent;
    uint64_t groups, first, last, printed;
    uint8_t head[JOURNAL_HASH_BYTES]; /* leaf hash of the last record that was read */
};

static enum err tell_broken(uint64_t sequence, const char *how)
{
    fprintf(stderr, "atlas: record %" PRIu64 " %s\n", sequence, how);
    return ERR_JOURNAL_BROKEN;
}

/* Whether the record is the one that follows the last, in this journal. */
static enum err check_chain(const struct pass *p, const struct journal_record *r,
                            const char *origin)
{
    uint64_t sequence = (uint64_t)r->sequence;
    if (p->records > 1 && memcmp(r->prev, p->head, sizeof(p->head)) != 0) {
        return tell_broken(sequence, "does not follow the one before it: one of the two was "
                                     "changed, or records between them are missing");
    }
    if ((sequence == 1) != (r->kind == JOURNAL_ORIGIN)) {
        return tell_broken(sequence, "is not what a journal begins with");
    }
    if (sequence == 1 && !span_equal(journal_record_text(r, JOURNAL_TEXT_ORIGIN),
                                     span_make(origin, JOURNAL_ORIGIN_CHARS))) {
        return tell_broken(sequence, "is of another journal than the segment that it is in");
    }
    return ERR_OK;
}

static enum err count_record(struct pass *p, struct span line, uint64_t sequence,
                             const char *origin)
{
    struct journal_record record;
    enum err e = journal_record_parse(line, &record, NULL);
    if (e != ERR_OK || (uint64_t)record.sequence != sequence) {
        return tell_broken(sequence, "is not as Atlas writes it");
    }
    e = check_chain(p, &record, origin);
    p->kinds[record.kind]++;
    p->outcomes[record.outcome] += record.kind == JOURNAL_COMPLETION;
    p->sent += record.attempts_sent;
    journal_leaf(line, p->head);
    return e;
}

static enum err print_record(struct pass *p, struct span line)
{
    enum main_filtered found = main_filter_look(&p->filter, line);
    p->is_over = found == MAIN_FILTER_LAST || found == MAIN_FILTER_OVER;
    if (found == MAIN_FILTER_NOT || found == MAIN_FILTER_OVER) {
        return ERR_OK;
    }
    p->printed++;
    return fwrite(line.at, 1, line.len, stdout) == line.len && putchar('\n') != EOF ? ERR_OK
                                                                                    : ERR_FILE;
}

static enum err each_record(struct pass *p, uint64_t first, const char *origin)
{
    enum err e = ERR_OK;
    struct span frames = p->group.frames;
    for (struct span line; e == ERR_OK && !p->is_over && journal_frame_next(&frames, &line);
         first++) {
        if (first < p->from) {
            continue;
        }
        p->first = p->records == 0 ? first : p->first;
        p->last = first;
        p->records++;
        e = p->print ? print_record(p, line) : count_record(p, line, first, origin);
    }
    bool ends_here = e == ERR_OK && !p->print && p->records > 0;
    if (ends_here && memcmp(p->head, p->group.commit.head, sizeof(p->head)) != 0) {
        e = tell_broken(p->last, "was changed: its hash is not the one that was noted");
    }
    return e;
}

static enum err each_group(struct pass *p, struct journal_reader *r)
{
    enum err e = ERR_OK;
    uint64_t first = journal_reader_header(r)->first_sequence;
    if (!p->print && p->from <= 1 && first != 1) {
        fprintf(stderr,
                "atlas: the first segments are missing: the journal begins with %" PRIu64 "\n",
                first);
        return ERR_JOURNAL_OTHER;
    }
    while (!p->is_over && (e = journal_reader_next(r, &p->group, &first)) == ERR_OK) {
        p->groups += p->group.commit.records > 0;
        e = each_record(p, first, journal_reader_header(r)->origin);
        if (e != ERR_OK) {
            return e;
        }
    }
    return e == ERR_NOT_FOUND_ROW ? ERR_OK : e;
}

static void print_identity(const struct pass *p, const struct journal_reader *r)
{
    printf("origin       %.*s\nhead         ", JOURNAL_ORIGIN_CHARS,
           journal_reader_header(r)->origin);
    for (size_t i = 0; i < sizeof(p->head); i++) {
        printf("%02x", p->head[i]);
    }
    printf("\n");
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
    for (unsigned i = JOURNAL_TRY_END; i < JOURNAL_KIND_COUNT; i++) {
        if (i != JOURNAL_COMPLETION) {
            printf("%-12s %" PRIu64 "\n", journal_kind_name((enum journal_kind)i), p->kinds[i]);
        }
    }
    print_identity(p, r);
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
    if (e == ERR_JOURNAL_BROKEN || e == ERR_JOURNAL_OLD || e == ERR_JOURNAL_OTHER) {
        fprintf(stderr, "atlas: %s: %s at byte %" PRIu64 " of %s\n", folder, err_sentence(e),
                place->offset, place->file);
    } else if (e == ERR_NOT_FOUND_ROW) {
        fprintf(stderr,
                "atlas: %s holds no segments, or none from that record on; `atlas doctor` says "
                "whether it should\n",
                folder);
    } else {
        fprintf(stderr, "atlas: %s: %s\n", folder, err_sentence(e));
    }
}

/* Passes over the segments that end before anything that is asked for. */
static enum err seek(struct pass *p, const char *folder)
{
    uint64_t from = 1;
    if (p->filter.search_from_ms == INT64_MIN) {
        return ERR_OK;
    }
    enum err e = journal_seek(folder, p->filter.search_from_ms - MAIN_FILTER_SLACK_MS, &from);
    p->from = from > p->from ? from : p->from;
    return e;
}

/* Whether the store was filled from this journal, as far as it goes, and the journal goes as far:
 * what `atlas serve` asks before it starts. Where no store can be read, nothing is compared. */
static int compare_store(const char *data, const char *folder)
{
    struct store *store = NULL;
    struct journal_seen seen;
    struct journal_report report = {0};
    enum err e = cli_data_open_to_look(data, &store);
    e = e == ERR_OK ? journal_apply_seen(store, &seen) : e;
    store_close(&store);
    if (e != ERR_OK) {
        printf("store        not compared: %s/%s: %s\n", data, CLI_STORE_FILE, err_sentence(e));
        return CLI_DONE;
    }
    e = journal_look(folder, &seen, &report);
    if (e == ERR_OK) {
        printf("store        has seen record %" PRIu64 " of this journal\n", seen.sequence);
    } else if (report.flaw != JOURNAL_FLAWLESS) {
        fprintf(stderr,
                "atlas: the store has seen record %" PRIu64 ", the journal ends with %" PRIu64
                ": %s\n",
                seen.sequence, report.last_sequence, journal_flaw_sentence(report.flaw));
    } else {
        print_failure(e, folder, &report.place);
    }
    return e == ERR_OK ? CLI_DONE : CLI_FAILED;
}

static int run(struct pass *p, const char *folder)
{
    struct journal_reader *r = NULL;
    struct journal_place place = {0};
    enum err e = seek(p, folder);
    if (e == ERR_OK) {
        e = journal_reader_open(folder, p->from, &place, &r);
    }
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
    if (e == ERR_OK && p->filter.is_set && p->printed == 0) {
        fprintf(stderr, "no records are as asked for\n");
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

/* Writes the data folder to `data` and the journal's to `out`, as the configuration at `path` has
 * them. */
static bool find_folder(const char *path, char data[CLI_PATH_MAX], char out[CLI_PATH_MAX])
{
    struct buf problems;
    struct settings *settings = NULL;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open_data(path, &problems, &settings);
    if (e == ERR_CONFIG) {
        fprintf(stderr, "%.*s", SPAN_ARGS(buf_span(&problems)));
    } else if (e == ERR_OK) {
        e = cli_data_path(settings->data, "journal", out);
        (void)snprintf(data, CLI_PATH_MAX, "%s", settings->data); /* it fits where the other does */
    }
    if (e != ERR_OK && e != ERR_CONFIG) {
        fprintf(stderr, "atlas: %s: %s\n", path, err_sentence(e));
    }
    buf_fini(&problems);
    settings_close(&settings);
    return e == ERR_OK;
}

struct journal_given {
    const char *config, *from;
    struct main_wish wish;
};

static int walk(const struct journal_given *g, bool print)
{
    char data[CLI_PATH_MAX];
    char folder[CLI_PATH_MAX];
    struct pass *p = memory_new(sizeof(*p));
    int status = CLI_FAILED;
    const char *wrong;
    if (p == NULL) {
        fprintf(stderr, "atlas: %s\n", err_sentence(ERR_NO_MEMORY));
    } else if (!span_to_u64(span_of(g->from), JOURNAL_NUMBER_MAX, &p->from)) {
        fprintf(stderr, "atlas journal %s: --from takes the number of a record, not '%s'\n",
                print ? "print" : "check", g->from);
        status = CLI_MISUSED;
    } else if ((wrong = main_filter_read(&g->wish, clock_wall(), &p->filter)) != NULL) {
        fprintf(stderr, "atlas journal print: %s\n", wrong);
        status = CLI_MISUSED;
    } else if (find_folder(g->config, data, folder)) {
        p->print = print;
        status = run(p, folder);
        status = status == CLI_DONE && !print ? compare_store(data, folder) : status;
    }
    memory_free(p);
    return status;
}

#define FROM \
    CLI_TEXT(struct journal_given, from, "from", "N", "Begin with record number N", .fallback = "1")

static void teach_print(FILE *out)
{
    fprintf(out,
            "A time is a day or a time in UTC, 2026-11-24 or 2026-11-24T10:30, or how long\n"
            "ago, 90m; --until a day takes all of it. Records of a time are those of attempts\n"
            "that began and calls that ended then. Segments without them are not read.\n");
}

const struct cli_option main_journal_print_options[] = {
    CLI_TEXT(struct journal_given, wish.call, "call", "ID", "Those of one call: its x-request-id"),
    CLI_TEXT(struct journal_given, wish.key, "key", "ID",
             "Those of one key: its calls, and what was done to or with it"),
    CLI_TEXT(struct journal_given, wish.since, "since", "TIME", "Those from this time on"),
    CLI_TEXT(struct journal_given, wish.until, "until", "TIME", "Those up to this time"),
    FROM,
    CLI_CONFIG(struct journal_given, config),
    CLI_END(teach_print),
};

int main_journal_print(const void *given)
{
    return walk(given, true);
}

const struct cli_option main_journal_check_options[] = {
    FROM,
    CLI_CONFIG(struct journal_given, config),
    CLI_END(NULL),
};

int main_journal_check(const void *given)
{
    return walk(given, false);
}
