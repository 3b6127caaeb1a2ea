/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_fixture.h — a folder of its own for each test, and rows to put into a store.
 */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/store_keys.h"
#include "store/store_usage.h"
#include "unit.h"

struct store_fixture {
    struct store_settings settings;
    char folder[32], path[64];
    struct store *store;
};

/* Makes the folder; opens nothing. */
static inline void store_fixture_init(struct store_fixture *f, const char *driver)
{
    memset(f, 0, sizeof(*f));
    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/atlas-store-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof(f->path), "%s/atlas.db", f->folder);
    f->settings = (struct store_settings){.driver = driver, .path = f->path};
}

static inline void store_fixture_open(struct store_fixture *f)
{
    assert_int_equal(store_open(&f->settings, &f->store), ERR_OK);
}

static inline void store_fixture_fini(struct store_fixture *f)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    store_close(&f->store);
    for (size_t i = 0; i < ROWS(ends); i++) {
        char path[80];
        (void)snprintf(path, sizeof(path), "%s%s", f->path, ends[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(f->folder), 0);
}

/* A key whose id is `id` (12 characters) and whose other columns follow from its first one. */
static inline struct store_key store_fixture_key(const char *id)
{
    struct store_key key = {.id = span_of(id),
                            .name = span_of("a \"name\" of \xd9\x85\xd9\x81"),
                            .kind = 2,
                            .pepper = 200,
                            .scopes = 0xc0000005U,
                            .created = {1795489200123456},
                            .expires = {1795489200123457},
                            .revoked = {0}};
    memset(key.mac, id[0], sizeof(key.mac));
    key.mac[31] = 0xff;
    return key;
}

static inline void store_fixture_same_key(const struct store_key *a, const struct store_key *b)
{
    assert_true(span_equal(a->id, b->id));
    assert_true(span_equal(a->name, b->name));
    assert_memory_equal(a->mac, b->mac, sizeof(a->mac));
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->pepper, b->pepper);
    assert_int_equal(a->scopes, b->scopes);
    assert_int_equal(a->created.us, b->created.us);
    assert_int_equal(a->expires.us, b->expires.us);
    assert_int_equal(a->revoked.us, b->revoked.us);
}

#endif
