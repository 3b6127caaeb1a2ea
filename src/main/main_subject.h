/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_subject.h — whose limits or budgets a command is about: --team, --user, --key,
 * --organisation or --plan, by id or name, --tag, and --each.
 *
 * Ownership  nothing is kept.
 * Threads    the main thread.
 */
#ifndef MAIN_MAIN_SUBJECT_H
#define MAIN_MAIN_SUBJECT_H

#include "main/main_noun.h"

#define MAIN_SUBJECT_BYTES 256

/* Options that say whose. */
#define MAIN_WHOSE                                                                                 \
    CLI_TEXT(struct main_given, team, "team", "TEAM", "Of this team, by id or name",               \
             .member = "team"),                                                                    \
        CLI_TEXT(struct main_given, user, "user", "USER", "Of this user", .member = "user"),       \
        CLI_TEXT(struct main_given, key, "key", "KEY", "Of this key, by its id", .member = "key"), \
        CLI_TEXT(struct main_given, organisation, "organisation", "ORG", "Of this organisation",   \
                 .member = "organisation"),                                                        \
        CLI_TEXT(struct main_given, of_tag, "tag", "NAME=VALUE",                                   \
                 "Of all keys that bear this tag, whichever team's", .member = "tag")
#define MAIN_EACH                                                                            \
    CLI_TEXT(struct main_given, each, "each", "CHILD",                                       \
             "Of a team: not of itself, but of each of its keys or users", .member = "each", \
             .words = ADMIN_EACH)

struct main_subject {
    const char *kind;            /* "team" */
    char id[MAIN_SUBJECT_BYTES]; /* "team_…"; a name is looked up; a tag as it is */
    const char *each;            /* "key" or "user"; NULL: itself */
};

/* Whether the command line says whose. */
bool main_subject_is_given(const struct main_given *given);

/* Finds the one that is meant. CLI_GO_ON, or the exit status after it has said what is wrong. */
int main_subject_find(const struct main_act *act, bool takes_plans, struct main_subject *out);

#endif
