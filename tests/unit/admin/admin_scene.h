/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_scene.h — a store, keys, and an operator who asks of them.
 */
#ifndef TESTS_ADMIN_SCENE_H
#define TESTS_ADMIN_SCENE_H

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "access/access.h"
#include "admin/admin_operations.h"
#include "keys/key_pepper.h"
#include "keys/keys.h"
#include "policy/policy_book.h"
#include "store/store_change.h"
#include "store/store_tables.h"
#include "store/store_usage.h"

#define NOW ((wall_us){INT64_C(1795489200000000)}) /* 2026-11-24T03:00:00Z */

struct fixture {
    char folder[32], pepper[48];
    struct store *store;
    struct keys *keys;
    struct access *rights;
    struct admin_means means;
    struct buf reply;
};

static inline int start(void **state)
{
    static struct fixture f;
    const struct store_settings settings = {.driver = "memory"};
    memset(&f, 0, sizeof(f));
    (void)snprintf(f.folder, sizeof(f.folder), "/tmp/atlas-admin-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    (void)snprintf(f.pepper, sizeof(f.pepper), "%s/pepper", f.folder);
    assert_int_equal(key_pepper_make(f.pepper), ERR_OK);
    assert_int_equal(store_open(&settings, &f.store), ERR_OK);
    assert_int_equal(keys_open(f.pepper, &f.keys), ERR_OK);
    assert_int_equal(access_open(f.keys, &f.rights), ERR_OK);
    f.means = (struct admin_means){.keys = f.keys, .rights = f.rights};
    buf_init(&f.reply, 65536);
    *state = &f;
    return 0;
}

static inline int stop(void **state)
{
    struct fixture *f = *state;
    buf_fini(&f->reply);
    access_close(&f->rights);
    keys_close(&f->keys);
    store_close(&f->store);
    (void)unlink(f->pepper);
    return rmdir(f->folder);
}

static struct admin_answer answer;

/* Runs a request; the answer as a C string is left in f->reply. */
static inline enum err ask(struct fixture *f, enum http_method method, const char *path,
                           const char *query, const char *body)
{
    const struct admin_request request = {.method = method,
                                          .path = span_of(path),
                                          .query = span_of(query),
                                          .body = span_of(body),
                                          .right = {.is_local = true}};
    buf_clear(&f->reply);
    enum err e = admin_operate(&f->means, f->store, &request, NOW, &f->reply, &answer);
    buf_put_byte(&f->reply, '\0');
    return e;
}

static inline const char *said(const struct fixture *f)
{
    return (const char *)buf_span(&f->reply).at;
}

static inline bool says(const struct fixture *f, const char *text)
{
    return strstr(said(f), text) != NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

#endif
