/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_internal.h — the functions behind the rows of admin_routes.def, one file a noun.
 *
 * An operation has its parameters read and checked; it reads its body, asks keys or store, and
 * writes its answer; errors as admin_operate(). A page writes its answer from memory.
 */
#ifndef ADMIN_ADMIN_INTERNAL_H
#define ADMIN_ADMIN_INTERNAL_H

#include "access/access.h"
#include "admin/admin_operations.h"
#include "admin/admin_status.h"
#include "base/health.h"
#include "keys/keys_change.h"

/* One request to the store under way. */
struct admin_operation {
    struct access *rights;       /* who there is, and what each may */
    struct keys *keys;           /* NULL: there is no pepper, and nothing is asked that needs one */
    struct policy_book *book;    /* NULL: no gateway keeps to it */
    const struct policy *policy; /* NULL: it is not known what the configuration says */
    const char *data;            /* the data folder; NULL: its files are not looked at */
    struct store *store;
    const struct admin_request *request;
    const struct admin_route *route;
    struct span id; /* what stands for {id} in the path */
    /* The team whose things alone the caller sees and changes; empty: all. */
    struct span caller_team;
    struct admin_params params;
    /* 32 bytes that what is made takes its ids and secrets from: a request that is sent again after
     * it was killed in the middle makes the same, or finds it (admin_once.h). NULL: they are new.
     */
    const uint8_t *seed;
    wall_us now;
    struct buf *out;
    struct admin_answer *answer;
};

/* One request for a page. */
struct admin_page {
    const struct admin_source *source;
    bool is_serving; /* the gateway has started and does not stop */
    struct buf *out;
    int status; /* of the reply: 200, unless the page says another */
};

/* The value of a parameter of the route; NULL: it was not given. */
const struct admin_value *admin_param(const struct admin_operation *op, const char *name);

/* Says why, and returns `e`. */
static inline enum err admin_refuse(const struct admin_operation *op, enum err e, const char *why)
{
    return admin_fault_say(&op->answer->fault, e, SPAN(""), "%s", why);
}

/* How the request's body is to be read into an object. */
static inline struct admin_reading admin_reading_of(const struct admin_operation *op,
                                                    enum admin_object object, enum admin_use use,
                                                    struct arena *arena)
{
    return (struct admin_reading){.object = object,
                                  .use = use,
                                  .body = op->request->body,
                                  .now = op->now,
                                  .arena = arena,
                                  .fault = &op->answer->fault};
}

/*
 * Judges If-Match: whether what the request changes, `now`, is what its sender saw. Every operation
 * that changes what a path names asks this before it does.
 *
 *   ERR_REVISION   it is not
 *   ERR_NO_MEMORY
 */
MUST_USE enum err admin_judge(const struct admin_operation *op, enum admin_object object,
                              const void *now);

/* ---- who there is: admin_names.c ---- */

/* As admin_resolve(), of what has not ended, or is what `*id` says already. */
MUST_USE enum err admin_give(const struct admin_operation *op, enum directory_kind kind,
                             struct span given, const char *member, struct span *id);

/* Whether the configuration has a model of this name: what is said of an alias, or of a name that
 * is misspelt, would never hold. ERR_VALUE_INVALID, told of `model`. */
MUST_USE enum err admin_check_model(const struct admin_operation *op, struct span name);

/*
 * The id of the one that a request names by id or name, as the value of `member`; empty stays
 * empty. One that has ended is not found by its name. `team`: of users, by name, only those of this
 * team's slot; SLOTS_NONE: of any.
 *
 *   ERR_VALUE_INVALID  there is none, or several users of other teams are called so
 */
MUST_USE enum err admin_resolve(const struct admin_operation *op, enum directory_kind kind,
                                struct span given, const char *member, uint32_t team,
                                struct span *id);

/* The slot of the one of this name that has not ended, as the caller sees it; SLOTS_NONE: none. */
uint32_t admin_slot_of_name(const struct admin_operation *op, enum directory_kind kind,
                            struct span name, uint32_t team);

/* Whether a name without a team stands for several users that the caller sees. */
bool admin_is_shared_name(const struct admin_operation *op, enum directory_kind kind,
                          struct span name, uint32_t team);

/* Whose something is: the one of these that is given, by its id; with `each`, a team's template.
 * ERR_VALUE_INVALID: none is, or several are, or it is not there. */
struct admin_whose {
    struct span organisation, team, user, key, plan, tag;
    int each; /* 0: none; 1 key, 2 user */
};
#define ADMIN_SUBJECT_BYTES 41
MUST_USE enum err admin_resolve_whose(const struct admin_operation *op,
                                      const struct admin_whose *given, bool takes_plans,
                                      char out[ADMIN_SUBJECT_BYTES]);

/* What has ended is limited no more: ERR_VALUE_INVALID. */
MUST_USE enum err admin_check_lives(const struct admin_operation *op, struct span subject);

/* The reverse; a tag has its name. */
struct admin_whose admin_whose_of(const struct admin_operation *op, struct span subject);

/* The id of the team that a subject is, or is of; empty: of none. In memory that others change only
 * on this thread. */
struct span admin_team_of(const struct admin_operation *op, struct span subject);

/* Finds the organisation of a new team, by id or name, or the only one there is, and sees that no
 * other team has its name: admin_nouns.c. */
MUST_USE enum err admin_team_place(const struct admin_operation *op, struct span organisation,
                                   struct store_team *team);

/* ---- tags: admin_tags.c, admin_fits.c ---- */

/* The id of a tag that a request names, `env=prod`; of one that never had limits a new one, if
 * `out` is given. ERR_VALUE_INVALID: it cannot be a tag, or there is none. */
MUST_USE enum err admin_tag_resolve(const struct admin_operation *op, struct span given, char *out,
                                    struct span *id);

/* Makes the tag of this name and id, if it is to have its first limit, once a key more that bears
 * it has room for it. */
MUST_USE enum err admin_tag_make(const struct admin_operation *op, struct span name,
                                 struct span id);

/* What a tag is called; empty: there is none of this id. */
struct span admin_tag_name(const struct admin_operation *op, struct span id);

/* Whether the caller may give a key these tags for those that it has: what limits it is not his to
 * change. */
MUST_USE enum err admin_tags_judge(const struct admin_operation *op, struct span before,
                                   struct span after);

/* Whether a budget more of a subject leaves room for what its keys' calls count in; `tag` is its
 * name, if it is one. */
MUST_USE enum err admin_budget_judge(const struct admin_operation *op, struct span subject,
                                     struct span tag, struct span id, struct span model);

/* The same of tokens a day, of several subjects at once. */
struct admin_day {
    struct span subject, tag; /* as above */
    struct span plan;         /* that says some where the subject does not; empty: none */
    int64_t tokens_per_day;
};
MUST_USE enum err admin_days_judge(const struct admin_operation *op, const struct admin_day *days,
                                   size_t count);

/* Whether calls of a team that say no class can go on: else all of them would be refused. */
MUST_USE enum err admin_fits_classes(const struct admin_operation *op, const struct admin_team *a);

/* Gives a team its guard (empty: it says nothing), once it is seen that it is one, and nowhere
 * milder than the gateway's; one that it has already is not looked at. ERR_VALUE_INVALID;
 * ERR_SOVEREIGNTY. */
MUST_USE enum err admin_guard_give(const struct admin_operation *op, struct span guard,
                                   struct span *own);

/* The same of a key (without an id: a new one) that shall be as this row says. */
MUST_USE enum err admin_key_judge_room(const struct admin_operation *op,
                                       const struct store_key *key, int64_t tokens_per_day);

/* What the rows say that a subject is limited to; and puts it there, if it is another. */
struct admin_limits admin_limits_of(const struct admin_operation *op, struct span subject);
bool admin_limits_are_alike(const struct admin_limits *a, const struct admin_limits *b);

/* Whether the caller may put them: to be asked before anything is changed. ERR_VALUE_INVALID;
 * ERR_SCOPE_DENIED: they are others than there are, and not for him to set. */
MUST_USE enum err admin_limits_check(const struct admin_operation *op, struct span subject,
                                     const struct admin_limits *limits);
/* The same, and whether its calls can count in it. */
MUST_USE enum err admin_limits_judge(const struct admin_operation *op, struct span subject,
                                     const struct admin_limits *limits);
MUST_USE enum err admin_limits_put(const struct admin_operation *op, struct span subject,
                                   const struct admin_limits *limits);

/* ---- what a key may be: admin_key_wish.c ---- */

/* Fills in what a request says of a new key: whose it is, its role, plan and grant. */
/* What the request says of where and what for the key may be used. */
struct key_grant_texts admin_key_grant(const struct admin_key *asked);
MUST_USE enum err admin_key_wish(const struct admin_operation *op, const struct admin_key *asked,
                                 struct key_wish *wish);

/* The same of a change. */
MUST_USE enum err admin_key_change_wish(const struct admin_operation *op,
                                        const struct admin_key *asked, struct key_change *change);

/* Whether the caller may make, change or end a key of this kind and role; and give a key that he
 * may change another. */
MUST_USE enum err admin_key_judge_role(const struct admin_operation *op, uint8_t kind,
                                       uint8_t role);
MUST_USE enum err admin_key_judge_new_role(const struct admin_operation *op,
                                           const struct store_key *key, int asked);

/* Reads the SHA-256 of another gateway's key that shall be this one, into `digest`, if one was
 * given. */
MUST_USE enum err admin_key_take_over(const struct admin_operation *op,
                                      const struct admin_key *asked, struct key_wish *wish,
                                      uint8_t digest[CRYPTO_SHA256_BYTES]);

/* Finds the key that the path names and that is to be changed, and judges whether its changer may,
 * and saw it as it is. Nobody else changes it before he does: this is the thread that does. There
 * is room for the answer then. */
MUST_USE enum err admin_key_find(const struct admin_operation *op, struct arena *arena,
                                 struct store_key *out);

/* Writes a key as the whole answer, with its ETag if the route has one; `text`: its own, this once,
 * or empty. */
MUST_USE enum err admin_key_answer(const struct admin_operation *op, const struct store_key *key,
                                   struct span text);

/* ---- ids ---- */

#define ADMIN_ID_BYTES 25 /* with its NUL */

/* Makes the id of what a request makes: `prefix` and 12 characters, of the request's seed if it has
 * one. So who makes something first looks whether it is there. */
struct span admin_make_id(const struct admin_operation *op, const char *prefix,
                          char out[ADMIN_ID_BYTES]);

/* ---- answers ---- */

/* Writes an object as the whole answer, with its ETag if the route has one. */
MUST_USE enum err admin_answer_object(const struct admin_operation *op, enum admin_object object,
                                      const void *shown);

/* A page of a list while it is written. */
struct admin_pager {
    struct json_writer w;
    int64_t left, last; /* rows of this page, and the number of the one that was written last */
    int64_t skipped;
    bool has_more;
};
void admin_pager_begin(struct admin_pager *p, const struct admin_operation *op);
MUST_USE enum err admin_pager_end(struct admin_pager *p);

/* What gives a list its rows. */
struct admin_lister {
    struct admin_pager pager; /* the first member: rows are given with it */
    const struct admin_operation *op;
    bool has_ended; /* those are listed, too */
};

/* Whether `include` asks for what has ended, too; ERR_VALUE_INVALID: it asks for something else. */
MUST_USE enum err admin_include(const struct admin_operation *op, bool *has_ended);

/* Begins a page, and gives the rows of a table in this order behind `from`, until one is said to be
 * too many: ERR_NOT_FOUND_ROW. */
MUST_USE enum err admin_pager_rows(struct admin_pager *p, const struct admin_operation *op,
                                   enum store_table_id table, unsigned index, const void *from,
                                   store_on_row *on_row);

/* Whether a row of this number is to be written; ERR_NOT_FOUND_ROW: the page is full. */
MUST_USE enum err admin_pager_next(struct admin_pager *p, int64_t number);

/* The same of a row that is not: so many are passed over for one page, then there is more. */
MUST_USE enum err admin_pager_skip(struct admin_pager *p, int64_t number);
/* Whether what belongs to `team` (empty: to none) is there for the caller. What is not, he hears
 * nothing of: it is ERR_NOT_FOUND_ROW to him, or left out. */
static inline bool admin_sees(const struct admin_operation *op, struct span team)
{
    return op->caller_team.len == 0 || span_equal(op->caller_team, team);
}

/* Writes a policy that came in force as an object. */
void admin_policy_write(struct json_writer *w, const struct policy_version *v);

/* Notes what an operation changes. */
void admin_note(const struct admin_operation *op, const char *action, struct span id);

/* Starts an answer that is a list. */
void admin_list_begin(struct json_writer *w, struct buf *out);

/* What is wrong, for a reply. */
struct admin_problems {
    struct health_entry entries[HEALTH_ENTRIES_MAX];
    struct admin_problem rows[HEALTH_ENTRIES_MAX]; /* their texts lie in `entries` */
    size_t count;
};

void admin_problems_read(struct admin_problems *out);

/* The gateway's state, as /readyz says it. */
enum admin_state admin_state_of(bool is_serving);

#define PAGE(name, method, path, scope, gives, help) \
    enum err admin_page_##name(struct admin_page *page);
#define ROUTE(name, method, path, scope, queue, action, takes, gives, rules, help) \
    enum err admin_##name(const struct admin_operation *op);
#define PARAM(route, name, kind, least, most, help)
#include "admin/admin_routes.def"
#undef PAGE
#undef ROUTE
#undef PARAM

#endif
