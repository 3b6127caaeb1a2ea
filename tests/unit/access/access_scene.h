/* SPDX-License-Identifier: Apache-2.0 */
/* access_scene.h — a store with an organisation, two teams, a user and a plan, and what is said of
 * them. */
#ifndef TESTS_ACCESS_SCENE_H
#define TESTS_ACCESS_SCENE_H

#include "keys/keys_change.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "access/access.h"
#include "keys/key_pepper.h"
#include "limits/limits_bounds.h"
#include "store/store_change.h"

/* A Monday's noon of 2040, behind any run: a window begins by the real clock where terms are put,
 * and never goes back. */
#define NOW      ((wall_us){INT64_C(2209118400000000)})
#define MIDNIGHT ((wall_us){INT64_C(2209075200000000)})
#define LATER    ((mono_us){INT64_C(5000000000)})
#define BY       SPAN("uid:1")
#define ALICE    SPAN("team_alice00000")
#define BOB      SPAN("team_bob0000000")

struct fixture {
    char folder[32], pepper[48];
    struct store *store;
    struct keys *keys;
    struct access *a;
};

static inline void open_all(struct fixture *f)
{
    struct access_report report;
    struct keys_report keys;
    assert_int_equal(keys_open(f->pepper, &f->keys), ERR_OK);
    assert_int_equal(access_open(f->keys, &f->a), ERR_OK);
    assert_int_equal(access_load(f->a, f->store, &report), ERR_OK);
    assert_int_equal(keys_load(f->keys, f->store, NULL, &keys), ERR_OK);
    assert_int_equal(access_restore(f->a, f->store), ERR_OK);
    assert_int_equal(keys.unbound, 0);
}

static inline void close_all(struct fixture *f)
{
    access_close(&f->a);
    access_close(&f->a);
    keys_close(&f->keys);
}

static inline void restart(struct fixture *f)
{
    close_all(f);
    open_all(f);
}

static inline void change(struct fixture *f, enum store_table_id table, void *row, const char *verb)
{
    assert_int_equal(access_change(f->a, f->store, table, row, verb, BY), ERR_OK);
}

/* An organisation with two teams, one of which has a user. */
static inline void fill(struct fixture *f)
{
    struct store_organisation org = {.id = SPAN("org_a"), .name = SPAN("ministry")};
    struct store_plan plan = {.id = SPAN("plan_a"), .name = SPAN("professional")};
    struct store_team alice = {.id = ALICE, .name = SPAN("alice"), .organisation = org.id};
    struct store_team bob = {.id = BOB,
                             .name = SPAN("bob"),
                             .organisation = org.id,
                             .plan = plan.id,
                             .models = SPAN("small\nlarge")};
    struct store_user user = {.id = SPAN("user_a"), .name = SPAN("ali"), .team = BOB};
    change(f, STORE_TABLE_ORGANISATION, &org, "organisation.create");
    change(f, STORE_TABLE_PLAN, &plan, "plan.create");
    change(f, STORE_TABLE_TEAM, &alice, "team.create");
    change(f, STORE_TABLE_TEAM, &bob, "team.create");
    change(f, STORE_TABLE_USER, &user, "user.create");
}

static inline int start(void **state)
{
    static struct fixture f;
    const struct store_settings settings = {.driver = "memory"};
    memset(&f, 0, sizeof(f));
    (void)snprintf(f.folder, sizeof(f.folder), "/tmp/atlas-access-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    (void)snprintf(f.pepper, sizeof(f.pepper), "%s/pepper", f.folder);
    assert_int_equal(key_pepper_make(f.pepper), ERR_OK);
    assert_int_equal(store_open(&settings, &f.store), ERR_OK);
    open_all(&f);
    fill(&f);
    *state = &f;
    return 0;
}

static inline int stop(void **state)
{
    struct fixture *f = *state;
    close_all(f);
    store_close(&f->store);
    (void)unlink(f->pepper);
    return rmdir(f->folder);
}

/* ---- what is said ---- */

static inline void limit(struct fixture *f, struct span id, struct store_limit row)
{
    struct store_limit before = {.id = id};
    row.id = id;
    if (store_change_get(f->store, STORE_TABLE_LIMIT, &before) == ERR_OK) {
        row.revision = before.revision;
    }
    change(f, STORE_TABLE_LIMIT, &row, "limit.set");
}

static inline struct store_budget budget(const char *id, struct span subject, int64_t amount)
{
    return (struct store_budget){.id = span_of(id),
                                 .subject = subject,
                                 .currency = SPAN("USD"),
                                 .amount = amount,
                                 .window = LIMITS_DAY,
                                 .zone = SPAN("UTC"),
                                 .week_start = 1};
}

static inline void put_budget(struct fixture *f, struct store_budget row)
{
    struct store_budget before = {.id = row.id};
    if (store_change_get(f->store, STORE_TABLE_BUDGET, &before) == ERR_OK) {
        row.revision = before.revision;
    }
    change(f, STORE_TABLE_BUDGET, &row, "budget.create");
}

struct caller {
    struct key_text text;
    char id[KEY_ID_CHARS + 1];
};

static inline struct caller make(struct fixture *f, struct key_wish wish)
{
    struct caller made;
    wish.kind = KEY_LIVE;
    wish.name = SPAN("test");
    assert_int_equal(keys_create(f->keys, f->store, &wish, NOW, &made.text, made.id), ERR_OK);
    return made;
}

static inline struct key_handle check(struct fixture *f, const struct caller *of)
{
    struct key_handle handle;
    assert_int_equal(keys_check(f->keys, span_of(of->text.text), KEY_USE_INFERENCE, NOW, &handle),
                     ERR_OK);
    return handle;
}

static inline struct limits_subjects who_is(struct fixture *f, const struct caller *of)
{
    struct limits_subjects who;
    struct key_handle handle = check(f, of);
    assert_int_equal(access_look(f->a, &handle, NOW, &who), ERR_OK);
    return who;
}

/* What one level of a caller is held to. */
struct held {
    int64_t requests, burst, tokens, answer;
};

static inline struct held held_at(struct fixture *f, const struct caller *of,
                                  enum limits_level level)
{
    struct limits_subjects who = LIMITS_SUBJECTS_NONE;
    struct limits_tightest requests, tokens;
    who.slot[level] = who_is(f, of).slot[level];
    limits_look(access_limits(f->a), &who, LATER, &requests, &tokens);
    return (struct held){requests.limit, requests.standing.remaining, tokens.limit,
                         limits_bounds_of(access_limits(f->a), &who).answer_tokens};
}

static inline void expect_at(struct fixture *f, const struct caller *of, enum limits_level level,
                             struct held expected)
{
    struct held found = held_at(f, of, level);
    assert_int_equal(found.requests, expected.requests);
    assert_int_equal(found.burst, expected.burst);
    assert_int_equal(found.tokens, expected.tokens);
    assert_int_equal(found.answer, expected.answer);
}

#endif
