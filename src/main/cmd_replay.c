/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `atlas route replay`: other rules are asked about the calls that were, by the facts that their
 * records have, and what would change is summed up. It needs no gateway, and works beside one.
 *
 * The dice fall as they fell: a call's id holds its chance. How fast model servers were is not
 * recorded: what a profile would choose by that is told as such.
 */
#include <stdio.h>

#include "access/access.h"
#include "base/memory.h"
#include "cli/cli_data.h"
#include "decision/decision_record.h"
#include "journal/journal_reader.h"
#include "main/commands.h"
#include "main/main_changes.h"
#include "main/main_filter.h"
#include "settings/settings.h"
#include "store/store.h"

#define PROBLEMS_BYTES_MAX (128u << 10)
#define TO_BYTES           320 /* of a model's name, or of what stands there */
#define ROWS(table)        (sizeof(table) / sizeof((table)[0]))

struct replay {
    const struct settings *settings;
    struct policy *policy;
    struct store *store;
    struct keys *keys;
    struct access *rights;
    struct condition_scratch *scratch;
    struct main_filter filter;
    struct decision_trace trace;
    struct main_changes changes;
    struct decision_work work;
    struct journal_record record;
};

/* ---- one call ---- */

/* Of a key that is not there any more nobody knows what it might have used. */
static bool permits(const struct access *a, const struct key_handle *key,
                    const struct limits_subjects *who, struct span asked, struct span name)
{
    return key->kind == 0 || access_permits(a, key, who, asked, name);
}

static uint32_t slot_of(const struct replay *p, enum directory_kind kind, enum journal_text text)
{
    return directory_slot(access_directory(p->rights), kind, journal_record_text(&p->record, text));
}

/* Who called, as far as it is known still. */
static void find_who(const struct replay *p, struct key_handle *key, struct limits_subjects *who)
{
    struct span id = journal_record_text(&p->record, JOURNAL_TEXT_KEY);
    *who = (struct limits_subjects)LIMITS_SUBJECTS_NONE;
    *key = (struct key_handle){.slot = SLOTS_NONE};
    span_copy_text(id, key->id, sizeof(key->id));
    if (key_table_find(keys_table(p->keys), id, &key->slot)) {
        key->kind = key_table_slot(keys_table(p->keys), key->slot)->kind;
    }
    who->slot[LIMITS_KEY] = key->slot;
    who->slot[LIMITS_USER] = slot_of(p, DIRECTORY_USER, JOURNAL_TEXT_USER);
    who->slot[LIMITS_TEAM] = slot_of(p, DIRECTORY_TEAM, JOURNAL_TEXT_TEAM);
    who->slot[LIMITS_ORGANISATION] = slot_of(p, DIRECTORY_ORGANISATION, JOURNAL_TEXT_ORGANISATION);
}

static void fill_request(const struct journal_record *r, struct openai_request *request)
{
    static const char *const names[] = {[OPENAI_CHAT] = "chat",
                                        [OPENAI_COMPLETIONS] = "completions",
                                        [OPENAI_EMBEDDINGS] = "embeddings"};
    struct span name = journal_record_text(r, JOURNAL_TEXT_ENDPOINT);
    for (size_t i = 0; i < ROWS(names); i++) {
        if (span_is(name, names[i])) {
            request->endpoint = (enum openai_endpoint)i;
        }
    }
    request->stream = r->stream != 0;
}

/* The first rule that could not be told; SIZE_MAX: all could that were asked. */
static size_t find_untold(const struct decision_trace *trace)
{
    for (size_t i = 0; i < trace->asked; i++) {
        if (trace->outcomes[i] == CONDITION_FAILED) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* Where it went, or that routing let it go nowhere. */
static void write_from(const struct journal_record *r, char out[TO_BYTES])
{
    static const enum err of_routing[] = {
        ERR_RESIDENCY,      ERR_MODEL_UNKNOWN, ERR_MODEL_NOT_ALLOWED, ERR_MODEL_ENDPOINT,
        ERR_CLASSIFICATION, ERR_CAPABILITY,    ERR_CONTEXT_LENGTH,    ERR_VALUE_INVALID};
    struct span error = journal_record_text(r, JOURNAL_TEXT_ERROR);
    bool is_refused = false;
    for (size_t i = 0; r->kind == JOURNAL_COMPLETION && i < ROWS(of_routing); i++) {
        is_refused = is_refused || span_is(error, err_name(of_routing[i]));
    }
    if (is_refused) {
        (void)snprintf(out, TO_BYTES, "refused (%u)", r->status); /* fits */
    } else {
        span_copy_text(journal_record_text(r, JOURNAL_TEXT_MODEL), out, TO_BYTES);
    }
}

/* Where it would go. What is chosen by how fast servers answer is where it went, if the same
 * profile chose then. */
static void write_to(const struct decision *d, enum err e, const char *from, bool is_same_policy,
                     char out[TO_BYTES])
{
    bool is_by_latency = d->profile == ROUTING_PERFORMANCE || d->profile == ROUTING_BALANCED;
    const char *by = d->learns ? "(by examples)" : "(by latency)";
    if (e != ERR_OK) {
        (void)snprintf(out, TO_BYTES, "refused (%d)", err_row(e)->status); /* fits */
    } else if ((is_by_latency || d->learns) && d->count > 1) {
        (void)snprintf(out, TO_BYTES, "%s", is_same_policy ? from : by); /* fits */
    } else {
        span_copy_text(d->candidates[0].match.shown, out, TO_BYTES);
    }
}

static enum err compare(struct replay *p, const struct decision *d, enum err outcome)
{
    char from[TO_BYTES], to[TO_BYTES];
    struct span policy = journal_record_text(&p->record, JOURNAL_TEXT_POLICY);
    bool is_same = span_is(policy, d->policy);
    write_from(&p->record, from);
    write_to(d, outcome, from, is_same, to);
    if (is_same && strcmp(from, to) == 0) {
        p->changes.same++;
        return ERR_OK;
    }
    const struct main_change change = {policy, span_of(d->policy), span_of(from), span_of(to)};
    return main_changes_add(&p->changes, &change, p->record.call_id);
}

/* What is asked about a call, and all that it points at. */
struct asked {
    struct decision_facts facts;
    struct key_handle key;
    struct limits_subjects who;
    struct decision_ask ask;
};

/* False: the record's facts are not as they are written. */
static bool make_ask(const struct replay *p, struct asked *a)
{
    uint32_t chance;
    const struct journal_record *r = &p->record;
    if (!decision_facts_read(journal_record_text(r, JOURNAL_TEXT_FACTS), &a->facts)) {
        return false;
    }
    find_who(p, &a->key, &a->who);
    fill_request(r, &a->facts.request);
    a->facts.recorded.has_key = a->key.kind != 0;
    memcpy(&chance, r->call_id + sizeof(r->call_id) - sizeof(chance), sizeof(chance));
    a->ask = (struct decision_ask){.policy = p->policy,
                                   .rights = p->rights,
                                   .key = &a->key,
                                   .who = &a->who,
                                   .permits = permits,
                                   .request = &a->facts.request,
                                   .model = a->facts.model,
                                   .prompt_tokens = a->facts.prompt_tokens,
                                   .gist = a->facts.recorded.has_gist ? &a->facts.gist : NULL,
                                   .recorded = &a->facts.recorded,
                                   .hints = a->facts.hints,
                                   .place = {.regions = SPAN("")},
                                   .now = {r->started_ms * 1000},
                                   .mono = clock_mono(),
                                   .chance = chance,
                                   .scratch = p->scratch};
    if (a->key.kind != 0) {
        a->ask.keys = p->keys;
        a->ask.place = access_place_of(p->rights, &a->key, &a->who);
    }
    return true;
}

static enum err replay_call(struct replay *p)
{
    struct asked a;
    struct decision d;
    char why[DECISION_WHY_BYTES];
    p->changes.calls++;
    if (!make_ask(p, &a)) {
        p->changes.untold++;
        return ERR_OK;
    }
    enum err e = decision_bind(&a.ask, why);
    p->trace.asked = 0;
    decision_find(&a.ask, &p->work, &p->trace, &d);
    size_t untold = find_untold(&p->trace);
    if (untold != SIZE_MAX) {
        p->changes.untold++;
        p->changes.untold_by[untold]++;
        return ERR_OK;
    }
    return compare(p, &d, e == ERR_OK ? decision_choose(&a.ask, &p->work, &d) : e);
}

/* ---- all of them ---- */

static enum err each_record(struct replay *p, const struct journal_group *group)
{
    static const char member[] = "\"facts\":\"";
    enum err e = ERR_OK;
    struct span frames = group->frames;
    for (struct span line; e == ERR_OK && journal_frame_next(&frames, &line);) {
        bool has_facts = memmem(line.at, line.len, member, sizeof(member) - 1) != NULL;
        if (has_facts && main_filter_look(&p->filter, line) != MAIN_FILTER_NOT &&
            journal_record_parse(line, &p->record, NULL) == ERR_OK) {
            e = replay_call(p);
        }
    }
    return e;
}

static enum err walk(struct replay *p, struct journal_place *place)
{
    char folder[CLI_PATH_MAX];
    struct journal_reader *r = NULL;
    struct journal_group group;
    uint64_t first = 1;
    enum err e = cli_data_path(p->settings->data, "journal", folder);
    if (e == ERR_OK && p->filter.search_from_ms != INT64_MIN) {
        e = journal_seek(folder, p->filter.search_from_ms - MAIN_FILTER_SLACK_MS, &first);
    }
    e = e == ERR_OK ? journal_reader_open(folder, first, place, &r) : e;
    while (e == ERR_OK && (e = journal_reader_next(r, &group, &first)) == ERR_OK) {
        e = each_record(p, &group);
    }
    if (r != NULL) {
        *place = journal_reader_place(r);
    }
    journal_reader_close(&r);
    return e == ERR_NOT_FOUND_ROW ? ERR_OK : e;
}

/* ---- the command ---- */

struct replay_given {
    const char *config, *rules;
    struct main_wish wish;
    bool json;
};

static void teach(FILE *out)
{
    fputs("\nLooks at calls of auto-router, and those that rules could bind, whose records\n"
          "have what rules ask for. What would be chosen by how fast servers answer is\n"
          "told as \"(by latency)\"; prices are the configuration's. A rule that asks for\n"
          "headers, or for tags of a key that is gone, cannot be told where it decides.\n"
          "--since takes a day or a time in UTC, or how long ago, 90m or 7d.\n",
          out);
}

const struct cli_option main_route_replay_options[] = {
    CLI_TEXT(struct replay_given, wish.since, "since", "TIME", "Calls from this time on"),
    CLI_TEXT(struct replay_given, rules, "rules", "FILE", "Rules to try, instead of those in force",
             .words = CLI_FILES),
    CLI_FLAG(struct replay_given, json, "json", "Print JSON"),
    CLI_CONFIG(struct replay_given, config),
    CLI_END(teach),
};

/* Reads the configuration with the rules; NULL when standard error says what is wrong. */
static struct settings *read_settings(const struct replay_given *g)
{
    struct buf problems;
    struct settings *settings = NULL;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open_with_rules(g->config, g->rules, &problems, &settings);
    if (e == ERR_CONFIG) {
        fprintf(stderr, "%.*s", SPAN_ARGS(buf_span(&problems)));
    } else if (e != ERR_OK) {
        fprintf(stderr, "%s: %s\n", g->config, err_sentence(e));
    }
    buf_fini(&problems);
    return settings;
}

/* Who there is, from the database: rules ask for names, records have ids. */
static enum err open_rights(struct replay *p)
{
    char pepper[CLI_PATH_MAX];
    struct access_report report;
    struct keys_report found;
    enum err e = cli_data_open_to_look(p->settings->data, &p->store);
    e = e == ERR_OK ? cli_data_path(p->settings->data, KEYS_PEPPER_FILE, pepper) : e;
    e = e == ERR_OK ? keys_open(pepper, &p->keys) : e;
    e = e == ERR_OK ? access_open(p->keys, &p->rights) : e;
    e = e == ERR_OK ? access_load(p->rights, p->store, &report) : e;
    return e == ERR_OK ? keys_load(p->keys, p->store, NULL, &found) : e;
}

static enum err open_replay(struct replay *p)
{
    char reason[DEPLOYMENT_REASON_BYTES] = "";
    const struct settings *s = p->settings;
    enum err e = policy_open(&s->gateway, &s->upstream, NULL, clock_wall(), reason, &p->policy);
    if (e != ERR_OK) {
        fprintf(stderr, "atlas route replay: %s\n", reason[0] == '\0' ? err_sentence(e) : reason);
        return e;
    }
    size_t rules = p->policy->routing == NULL ? 0 : routing_count(p->policy->routing);
    p->scratch = condition_scratch_new();
    p->trace.outcomes = memory_new_array(rules + 1, sizeof(enum condition_outcome));
    e = p->scratch == NULL || p->trace.outcomes == NULL ? ERR_NO_MEMORY : ERR_OK;
    e = e == ERR_OK ? main_changes_open(&p->changes, p->policy->routing) : e;
    e = e == ERR_OK ? open_rights(p) : e;
    if (e != ERR_OK) {
        fprintf(stderr, "atlas route replay: who called cannot be looked up in %s: %s\n", s->data,
                err_sentence(e));
    }
    return e;
}

static void close_replay(struct replay *p)
{
    access_close(&p->rights);
    keys_close(&p->keys);
    store_close(&p->store);
    main_changes_close(&p->changes);
    condition_scratch_free(&p->scratch);
    memory_free(p->trace.outcomes);
    policy_unref(&p->policy);
}

static int run(struct replay *p, bool is_json)
{
    struct journal_place place = {0};
    enum err e = open_replay(p);
    if (e == ERR_OK) {
        e = walk(p, &place);
        e = e == ERR_OK ? main_changes_print(&p->changes, is_json) : e;
        if (e != ERR_OK) {
            fprintf(stderr, "atlas route replay: %s/journal: %s%s%s\n", p->settings->data,
                    err_sentence(e), place.file[0] == '\0' ? "" : ": ", place.file);
        }
    }
    close_replay(p);
    return e == ERR_OK ? CLI_DONE : CLI_FAILED;
}

int main_route_replay(const void *given)
{
    const struct replay_given *g = given;
    struct replay *p = memory_new(sizeof(*p));
    int status = CLI_FAILED;
    if (p == NULL) {
        fprintf(stderr, "atlas route replay: %s\n", err_sentence(ERR_NO_MEMORY));
        return status;
    }
    const char *wrong = main_filter_read(&g->wish, clock_wall(), &p->filter);
    if (wrong != NULL) {
        fprintf(stderr, "atlas route replay: %s\n", wrong);
        status = CLI_MISUSED;
    } else {
        struct settings *settings = read_settings(g);
        p->settings = settings;
        status = settings == NULL ? CLI_FAILED : run(p, g->json);
        settings_close(&settings);
    }
    memory_free(p);
    return status;
}
