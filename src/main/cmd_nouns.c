/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas organisation`, `atlas team` and `atlas user`: tables of what each action takes. */
#include "main/commands.h"
#include "main/main_noun.h"

#define OF_ONE(what)                                    \
    {                                                   \
        MAIN_ID(what), MAIN_JSON, MAIN_CONFIG, MAIN_END \
    }
#define OF_ALL                                       \
    {                                                \
        MAIN_ENDED, MAIN_JSON, MAIN_CONFIG, MAIN_END \
    }

/* ---- organisations ---- */

static const struct main_noun organisations = {
    ADMIN_ORGANISATIONS_PATH, ADMIN_OBJECT_organisation,
    "there are no organisations; the first team makes one, or: atlas organisation create --name N"};

#define AN_ORGANISATION "The organisation's id or name"

const struct cli_option main_organisation_create_options[] = {
    MAIN_NAME("What people call it", .is_needed = true),
    MAIN_LIMITS("limits."),
    MAIN_JSON,
    MAIN_CONFIG,
    MAIN_END,
};
const struct cli_option main_organisation_list_options[] = OF_ALL;
const struct cli_option main_organisation_show_options[] = OF_ONE(AN_ORGANISATION);
const struct cli_option main_organisation_edit_options[] = {
    MAIN_ID(AN_ORGANISATION),
    MAIN_NAME("What people call it from now on"),
    MAIN_LIMITS("limits."),
    MAIN_JSON,
    MAIN_CONFIG,
    MAIN_END,
};
const struct cli_option main_organisation_end_options[] = OF_ONE(AN_ORGANISATION);

MAIN_ACTS(organisation, organisations)

/* ---- teams ---- */

static const struct main_noun teams = {
    ADMIN_TEAMS_PATH, ADMIN_OBJECT_team,
    "there are no teams; make one with: atlas team create --name N"};

#define A_TEAM "The team's id or name"

#define REGION                                              \
    CLI_TEXT(struct main_given, region, "region", "REGION", \
             "Its home region; none: the gateway's", .member = "region", .none = "none")
#define MAX_CLASS                                                                                 \
    CLI_TEXT(struct main_given, max_class, "max_class", "CLASS",                                  \
             "The highest class of data that it may send; none: not said", .member = "max_class", \
             .words = ADMIN_CLASSES, .none = "none")

#define REGIONS                                                                              \
    CLI_LIST(struct main_given, regions, "regions", "R,R",                                   \
             "Regions that its calls may go to; none: its home region alone, or any of the " \
             "gateway's where it has none",                                                  \
             .member = "regions", .none = "none")
#define DEFAULT_CLASS                                                      \
    CLI_TEXT(struct main_given, default_class, "default_class", "CLASS",   \
             "The class of data of its calls that say none; none: public", \
             .member = "default_class", .words = ADMIN_CLASSES, .none = "none")

#define GUARD                                                                                  \
    CLI_TEXT(struct main_given, guard, "guard", "JSON",                                        \
             "What its guard does beyond the gateway's: JSON, or a file of it; none: nothing", \
             .member = "guard", .none = "none")

/* What both making and changing one may say. */
#define OF_A_TEAM \
    MAIN_PLAN, MAIN_MODELS, REGION, REGIONS, MAX_CLASS, DEFAULT_CLASS, MAIN_LOCAL_ONLY, GUARD

const struct cli_option main_team_create_options[] = {
    MAIN_NAME("What people call it", .is_needed = true),
    CLI_TEXT(struct main_given, organisation, "organisation", "ORG",
             "Its organisation, where there are several", .member = "organisation"),
    OF_A_TEAM,
    MAIN_EXPIRES,
    MAIN_LIMITS("limits."),
    MAIN_JSON,
    MAIN_CONFIG,
    MAIN_END,
};
const struct cli_option main_team_list_options[] = OF_ALL;
const struct cli_option main_team_show_options[] = OF_ONE(A_TEAM);
const struct cli_option main_team_edit_options[] = {
    MAIN_ID(A_TEAM), MAIN_NAME("What people call it from now on"),
    OF_A_TEAM,       MAIN_NO_LOCAL_ONLY,
    MAIN_EXPIRES,    MAIN_LIMITS("limits."),
    MAIN_JSON,       MAIN_CONFIG,
    MAIN_END,
};
const struct cli_option main_team_end_options[] = OF_ONE(A_TEAM);

MAIN_ACTS(team, teams)

/* ---- users ---- */

static const struct main_noun users = {
    ADMIN_USERS_PATH, ADMIN_OBJECT_user,
    "there are no users; make one with: atlas user create --name N --team T"};

#define A_USER "The user's id, or the name where one user alone has it"

#define USER_ROLE                                                                 \
    CLI_TEXT(struct main_given, role, "role", "ROLE", "What they do in the team", \
             .member = "role", .words = ADMIN_USER_ROLES)

const struct cli_option main_user_create_options[] = {
    MAIN_NAME("What people call them", .is_needed = true),
    CLI_TEXT(struct main_given, team, "team", "TEAM", "Their team, by id or name", .member = "team",
             .is_needed = true),
    USER_ROLE,
    MAIN_LIMITS("limits."),
    MAIN_JSON,
    MAIN_CONFIG,
    MAIN_END,
};
const struct cli_option main_user_list_options[] = OF_ALL;
const struct cli_option main_user_show_options[] = OF_ONE(A_USER);
const struct cli_option main_user_edit_options[] = {
    MAIN_ID(A_USER), MAIN_NAME("What people call them from now on"),
    USER_ROLE,       MAIN_LIMITS("limits."),
    MAIN_JSON,       MAIN_CONFIG,
    MAIN_END,
};
const struct cli_option main_user_end_options[] = OF_ONE(A_USER);

MAIN_ACTS(user, users)
