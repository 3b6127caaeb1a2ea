/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_given.h — what the commands of the nouns (organisations, teams, users, keys, plans, limits,
 * budgets, prices, evaluations) may be given, and the rows of options that many of them share.
 *
 * One struct does for all: a command's table says which of it there is.
 *
 * Threads  the main thread.
 */
#ifndef MAIN_MAIN_GIVEN_H
#define MAIN_MAIN_GIVEN_H

#include "cli/cli_options.h"

struct main_given {
    const char *config;
    const char *id; /* the plain word */
    const char *name, *organisation, *team, *user, *key, *plan, *role, *region;
    const char *max_class, *default_class, *guard;
    const char *expires, *each, *data, *rotate_every, *grace, *sha256;
    const char *requests_per_minute, *burst, *tokens_per_minute, *tokens_per_day, *concurrent;
    const char *max_tokens, *priority;
    const char *amount, *window, *time_zone, *week_starts, *model, *currency;
    const char *of_tag;
    const char *from, *input, *cached_input, *output, *per, *request, *gpu_second, *days;
    bool json, ended, test, admin, tokens, local_only, no_local_only;
    struct cli_texts models, regions, scopes, allow_ip, tag;
};

#define MAIN_JSON     CLI_FLAG(struct main_given, json, "json", "Print JSON, as the API says it")
#define MAIN_CONFIG   CLI_CONFIG(struct main_given, config)
#define MAIN_ID(what) CLI_WORD(struct main_given, id, "ID", what)
#define MAIN_ENDED    CLI_FLAG(struct main_given, ended, "ended", "Those that have ended, too")
#define MAIN_END      CLI_END(NULL)

#define MAIN_NAME(what, ...) \
    CLI_TEXT(struct main_given, name, "name", "NAME", what, .member = "name", __VA_ARGS__)
#define MAIN_MODELS                                                                           \
    CLI_LIST(struct main_given, models, "models", "M,M",                                      \
             "Models that may be used, by their names; all: any of them", .member = "models", \
             .none = "all")
#define MAIN_PLAN                                                                   \
    CLI_TEXT(struct main_given, plan, "plan", "PLAN",                               \
             "The plan whose limits hold where no own ones are set; none: without", \
             .member = "plan", .none = "none")
#define MAIN_LOCAL_ONLY                                                                  \
    CLI_FLAG(struct main_given, local_only, "local_only", "Calls stay in the home zone", \
             .member = "local_only", .says = "true")
#define MAIN_NO_LOCAL_ONLY                                                                      \
    CLI_FLAG(struct main_given, no_local_only, "no_local_only", "They need not, by this alone", \
             .member = "local_only", .says = "false")
#define MAIN_EXPIRES                                                                            \
    CLI_TEXT(struct main_given, expires, "expires", "TIME",                                     \
             "When it ends: 12h or 30d from now, or as the day 2027-01-31 begins (UTC); never", \
             .member = "expires_at", .none = "never")

#define MAIN_ROTATE_EVERY                                                                      \
    CLI_TEXT(struct main_given, rotate_every, "rotate-every", "TIME",                          \
             "How old its secret may get: 90d; the log says when it is due, and it works on; " \
             "never: as old as it may",                                                        \
             .member = "rotate_every_s", .none = "never")

#define MAIN_LIMIT(name, part, what) \
    CLI_TEXT(struct main_given, name, #name, "N", what, .member = part #name, .none = "none")
/* The limits, as members of `part`: "limits." or "". */
#define MAIN_LIMITS(part)                                                                          \
    MAIN_LIMIT(requests_per_minute, part, "Requests let through a minute, or none"),               \
        MAIN_LIMIT(burst, part, "Of these at once, then one an interval; none: a minute's"),       \
        MAIN_LIMIT(tokens_per_minute, part, "Tokens of requests and answers a minute, or none"),   \
        MAIN_LIMIT(tokens_per_day, part, "The same a day, which begins at midnight UTC, or none"), \
        MAIN_LIMIT(concurrent, part, "Calls at once, or none"),                                    \
        MAIN_LIMIT(max_tokens, part,                                                               \
                   "Tokens of an answer whose caller says no bound; none: the model's"),           \
        CLI_TEXT(struct main_given, priority, "priority", "WORD",                                  \
                 "Whose calls are refused last where there are too many: low, normal or high; "    \
                 "none: not said",                                                                 \
                 .member = part "priority", .words = ADMIN_PRIORITIES, .none = "none")

#endif
