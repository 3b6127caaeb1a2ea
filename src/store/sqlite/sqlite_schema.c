/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables, as the steps that made them. A step that was released never changes: what comes
 * later is a new step. All that are missing run in one batch, so a file is at one version or the
 * other, never between. docs/formats/schema.md says what the columns mean.
 */
#include "store/sqlite/sqlite_internal.h"

static const char *const steps[] = {
    /* 1 */
    "CREATE TABLE migration ("
    " version INTEGER PRIMARY KEY,"
    " program TEXT NOT NULL,"
    " applied_us INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE counter ("
    " name TEXT PRIMARY KEY,"
    " value INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO counter VALUES ('key_revision', 0), ('journal_sequence', 0);"
    "CREATE TABLE api_key ("
    " number INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE CHECK (length(id) = 12),"
    " name TEXT NOT NULL,"
    " kind INTEGER NOT NULL,"
    " pepper INTEGER NOT NULL,"
    " mac BLOB NOT NULL CHECK (length(mac) = 32),"
    " scopes INTEGER NOT NULL,"
    " created_us INTEGER NOT NULL,"
    " expires_us INTEGER NOT NULL,"
    " revoked_us INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE usage ("
    " day INTEGER NOT NULL,"
    " key_id TEXT NOT NULL,"
    " model TEXT NOT NULL,"
    " upstream TEXT NOT NULL,"
    " calls INTEGER NOT NULL,"
    " interrupted INTEGER NOT NULL,"
    " failed INTEGER NOT NULL,"
    " estimated INTEGER NOT NULL,"
    " tokens_in INTEGER NOT NULL,"
    " tokens_out INTEGER NOT NULL,"
    " bytes_in INTEGER NOT NULL,"
    " bytes_out INTEGER NOT NULL,"
    " cost_microusd INTEGER NOT NULL,"
    " PRIMARY KEY (day, key_id, model, upstream)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE open_call ("
    " id BLOB PRIMARY KEY CHECK (length(id) = 16),"
    " key_id TEXT NOT NULL,"
    " model TEXT NOT NULL,"
    " upstream TEXT NOT NULL,"
    " started_us INTEGER NOT NULL,"
    " sequence INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL,"
    " bytes_in INTEGER NOT NULL,"
    " reserved_tokens_in INTEGER NOT NULL,"
    " reserved_tokens_out INTEGER NOT NULL,"
    " reserved_microusd INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;",
};

#define VERSION ((int64_t)(sizeof(steps) / sizeof(steps[0])))

enum err store_sqlite_version(struct sqlite_store *q, int64_t *out)
{
    int64_t tables, ours, version;
    enum err e = store_sqlite_number(q, "SELECT count(*) FROM sqlite_schema", &tables);
    if (e == ERR_OK && tables == 0) {
        *out = 0;
        return ERR_OK;
    }
    if (e == ERR_OK) {
        e = store_sqlite_number(
            q, "SELECT count(*) FROM sqlite_schema WHERE name IN ('migration', 'api_key')", &ours);
    }
    if (e == ERR_OK && ours != 2) {
        span_copy_text(SPAN("the file is another program's database"), q->store.complaint,
                       sizeof(q->store.complaint));
        return ERR_FILE;
    }
    if (e == ERR_OK) {
        e = store_sqlite_number(q, "SELECT max(version) FROM migration", &version);
    }
    if (e != ERR_OK) {
        return e;
    }
    if (version > VERSION) {
        span_copy_text(SPAN("its tables are of a later version than this program knows"),
                       q->store.complaint, sizeof(q->store.complaint));
        return ERR_STORE_NEWER;
    }
    *out = version;
    return ERR_OK;
}

/* Notes in the table `migration` that the tables are at `version` now. */
static enum err note_version(struct sqlite_store *q, int64_t version)
{
    sqlite3_stmt *st = NULL;
    int code = sqlite3_prepare_v2(q->db,
                                  "INSERT INTO migration (version, program, applied_us)"
                                  " VALUES (?1, ?2, ?3)",
                                  -1, &st, NULL);
    if (code != SQLITE_OK) {
        return store_sqlite_error(q, code);
    }
    (void)sqlite3_bind_int64(st, 1, version); /* these cannot fail: nothing is copied */
    store_sqlite_bind(st, 2, SPAN(ATLAS_VERSION));
    (void)sqlite3_bind_int64(st, 3, clock_wall().us);
    enum err e = store_sqlite_error(q, sqlite3_step(st));
    (void)sqlite3_finalize(st); /* says again what the step said */
    return e;
}

/* Runs what is missing. In a batch: another program may be doing the same. */
static enum err run_steps(struct sqlite_store *q)
{
    int64_t version;
    enum err e = store_sqlite_version(q, &version);
    while (e == ERR_OK && version < VERSION) {
        e = store_sqlite_run(q, steps[version]);
        version++;
        if (e == ERR_OK) {
            e = note_version(q, version);
        }
    }
    return e;
}

enum err store_sqlite_migrate(struct sqlite_store *q)
{
    int64_t version;
    enum err e = store_sqlite_version(q, &version);
    if (e != ERR_OK || version == VERSION) {
        return e;
    }
    e = q->store.driver->begin(&q->store, STORE_SYNC_NOW);
    if (e != ERR_OK) {
        return e;
    }
    e = run_steps(q);
    if (e != ERR_OK) {
        q->store.driver->rollback(&q->store);
        return e;
    }
    return q->store.driver->commit(&q->store);
}
