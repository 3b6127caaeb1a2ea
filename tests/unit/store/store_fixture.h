/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_fixture.h — a folder of its own for each test, and rows to put into a store.
 */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/store_tables.h"
#include "store/store_usage.h"
#include "unit.h"

static const uint8_t some_head[STORE_HEAD_BYTES] = {7};

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

/* The store that a test is given. */
static inline struct store *store_of(void **state)
{
    return ((struct store_fixture *)*state)->store;
}

/* Opens a store of this driver for a test, with these tables (NULL: ours). Each file of tests that
 * asks every driver has its start_sqlite() and start_memory() from STORE_STARTS. */
static inline int store_fixture_start(void **state, const char *driver,
                                      const struct store_tables *tables)
{
    static struct store_fixture f;
    store_fixture_init(&f, driver);
    f.settings.tables = tables;
    f.settings.busy_ms = 5000; /* a reader that finds a log's head torn locks it for a moment */
    store_fixture_open(&f);
    *state = &f;
    return 0;
}

static inline int store_fixture_stop(void **state)
{
    store_fixture_fini(*state);
    return 0;
}

#define STORE_STARTS(tables)                                 \
    static int start_sqlite(void **state)                    \
    {                                                        \
        return store_fixture_start(state, "sqlite", tables); \
    }                                                        \
    static int start_memory(void **state)                    \
    {                                                        \
        return store_fixture_start(state, "memory", tables); \
    }

/* A test with a store of each driver. */
#define ON_BOTH(name)                                                   \
    {#name " (sqlite)", name, start_sqlite, store_fixture_stop, NULL},  \
    {                                                                   \
#name " (memory)", name, start_memory, store_fixture_stop, NULL \
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

/* Reads the key of this id. */
static inline enum err store_fixture_find(struct store *s, struct span id, struct store_key *out)
{
    *out = (struct store_key){.id = id};
    return store_key_get(s, out);
}

/* Revokes the key of this id at `when`. */
static inline enum err store_fixture_revoke(struct store *s, struct span id, int64_t when)
{
    struct store_key key;
    enum err e = store_fixture_find(s, id, &key);
    key.revoked.us = when;
    return e == ERR_OK ? store_key_put(s, &key) : e;
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
