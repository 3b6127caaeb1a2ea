/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database file: opened, set up, batched, and its error codes read.
 *
 * It is in WAL mode, so a reader (`atlas usage` beside a running gateway) never waits. A commit
 * with STORE_SYNC_NOW syncs the log (synchronous=FULL); one with STORE_SYNC_LATER leaves that to
 * the next of the former or to a checkpoint (NORMAL): a power cut then takes whole batches off the
 * end, never half of one, and the journal applies them anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "store/sqlite/sqlite_internal.h"

static const char *const texts[SQL_COUNT] = {
#define STATEMENT(name, sql) [SQL_##name] = (sql),
#include "store/sqlite/sqlite_statements.def"
#undef STATEMENT
};

static enum err error_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return ERR_OK;
    case SQLITE_FULL:
        return ERR_DISK_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_STORE_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_STORE_CORRUPT;
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    case SQLITE_IOERR:
        return code == SQLITE_IOERR_NOMEM ? ERR_NO_MEMORY : ERR_DISK;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return ERR_FILE;
    case SQLITE_CONSTRAINT:
        return code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ? ERR_EXISTS
                                                                                        : ERR_STORE;
    default:
        return ERR_STORE;
    }
}

enum err store_sqlite_error(struct sqlite_store *q, int code)
{
    enum err e = error_of(code);
    if (e != ERR_OK) {
        const char *words = q->db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(q->db);
        span_copy_text(span_of(words), q->store.complaint, sizeof(q->store.complaint));
    }
    return e;
}

enum err store_sqlite_run(struct sqlite_store *q, const char *sql)
{
    return store_sqlite_error(q, sqlite3_exec(q->db, sql, NULL, NULL, NULL));
}

enum err store_sqlite_number(struct sqlite_store *q, const char *sql, int64_t *out)
{
    sqlite3_stmt *st = NULL;
    int code = sqlite3_prepare_v2(q->db, sql, -1, &st, NULL);
    if (code != SQLITE_OK) {
        return store_sqlite_error(q, code);
    }
    code = sqlite3_step(st);
    int64_t number = code == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    enum err e = store_sqlite_error(q, code);
    (void)sqlite3_finalize(st); /* says again what the step said */
    if (e == ERR_OK) {
        *out = number;
    }
    return e;
}

static enum err prepare(struct sqlite_store *q, enum sqlite_statement which, sqlite3_stmt **out)
{
    if (q->statement[which] == NULL) {
        int code = sqlite3_prepare_v3(q->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
                                      &q->statement[which], NULL);
        if (code != SQLITE_OK) {
            return store_sqlite_error(q, code);
        }
    }
    *out = q->statement[which];
    return ERR_OK;
}

/* Runs one of BEGIN, COMMIT and ROLLBACK. */
static enum err run_kept(struct sqlite_store *q, enum sqlite_statement which)
{
    sqlite3_stmt *st = NULL;
    enum err e = prepare(q, which, &st);
    return e == ERR_OK ? store_sqlite_step(q, st) : e;
}

/* Undoes what a batch has done, unless SQLite has by itself. */
static enum err undo(struct sqlite_store *q)
{
    enum err e = sqlite3_get_autocommit(q->db) != 0 ? ERR_OK : run_kept(q, SQL_ROLLBACK);
    q->undo = e != ERR_OK;
    return e;
}

enum err store_sqlite_use(struct sqlite_store *q, enum sqlite_statement which, sqlite3_stmt **out)
{
    enum err e = q->undo ? undo(q) : ERR_OK;
    return e == ERR_OK ? prepare(q, which, out) : e;
}

enum err store_sqlite_done(struct sqlite_store *q, sqlite3_stmt *st, int code)
{
    enum err e = store_sqlite_error(q, code);
    (void)sqlite3_reset(st); /* says again what the step said */
    (void)sqlite3_clear_bindings(st);
    return e;
}

enum err store_sqlite_step(struct sqlite_store *q, sqlite3_stmt *st)
{
    return store_sqlite_done(q, st, sqlite3_step(st));
}

void store_sqlite_bind(sqlite3_stmt *st, int at, struct span text)
{
    /* Cannot fail: the text is not copied, and `at` is one of the statement's own. */
    (void)sqlite3_bind_text(st, at, text.len == 0 ? "" : (const char *)text.at, (int)text.len,
                            SQLITE_STATIC);
}

struct span store_sqlite_column(sqlite3_stmt *st, int at)
{
    const void *blob = sqlite3_column_blob(st, at); /* before the length, as SQLite asks */
    return span_make(blob, (size_t)sqlite3_column_bytes(st, at));
}

struct span store_sqlite_keep(struct sqlite_store *q, sqlite3_stmt *st, int at, int slot)
{
    struct span text = span_cut(store_sqlite_column(st, at), 0, STORE_TEXT_MAX);
    if (text.len > 0) {
        memcpy(q->given.text[slot], text.at, text.len);
    }
    return span_make(q->given.text[slot], text.len);
}

static void sqlite_close(struct store *s)
{
    struct sqlite_store *q = store_sqlite_of(s);
    for (size_t i = 0; i < SQL_COUNT; i++) {
        (void)sqlite3_finalize(q->statement[i]); /* says again what its last step said */
    }
    if (q->db != NULL) {
        CHECK(sqlite3_close(q->db) == SQLITE_OK); /* fails only if a statement is left */
    }
    memory_free(q);
}

/* Makes the file, empty and for this user only; leaves one that is there alone. */
static enum err make_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno == EEXIST ? ERR_OK : errno == ENOSPC ? ERR_DISK_FULL : ERR_FILE;
    }
    (void)close(fd); /* nothing was written */
    return ERR_OK;
}

static enum err set_up(struct sqlite_store *q, const struct store_settings *settings)
{
    enum err e = make_file(settings->path);
    if (e != ERR_OK) {
        (void)snprintf(q->store.complaint, sizeof(q->store.complaint),
                       "the file cannot be made: %s", strerrordesc_np(errno));
        return e;
    }
    int code =
        sqlite3_open_v2(settings->path, &q->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code != SQLITE_OK) {
        return store_sqlite_error(q, code);
    }
    (void)sqlite3_busy_timeout(q->db, (int)settings->busy_ms); /* always SQLITE_OK */
    int64_t version;
    e = store_sqlite_version(q, &version); /* before anything is changed in a file of others */
    if (e == ERR_OK) {
        e = store_sqlite_run(q, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
                                "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"
                                "PRAGMA journal_size_limit = 67108864;");
    }
    q->sync = STORE_SYNC_NOW;
    return e == ERR_OK ? store_sqlite_migrate(q) : e;
}

/* Hands what was said on to who opens: the store goes. */
static void hand_on(const struct sqlite_store *q, const struct store_settings *settings)
{
    if (settings->complaint != NULL) {
        memcpy(settings->complaint, q->store.complaint, STORE_COMPLAINT_BYTES);
    }
}

static enum err sqlite_open(const struct store_settings *settings, struct store **out)
{
    struct sqlite_store *q = memory_new(sizeof(*q));
    if (q == NULL) {
        return ERR_NO_MEMORY;
    }
    q->store.driver = &store_sqlite_driver;
    enum err e = set_up(q, settings);
    if (e != ERR_OK) {
        hand_on(q, settings);
        sqlite_close(&q->store);
        return e;
    }
    *out = &q->store;
    return ERR_OK;
}

/* Reads every page; SQLite says "ok", or what is wrong. */
static enum err check_pages(struct sqlite_store *q)
{
    sqlite3_stmt *st = NULL;
    int code = sqlite3_prepare_v2(q->db, "PRAGMA quick_check(1)", -1, &st, NULL);
    if (code != SQLITE_OK) {
        return store_sqlite_error(q, code);
    }
    code = sqlite3_step(st);
    enum err e = store_sqlite_error(q, code);
    struct span said = e == ERR_OK ? store_sqlite_column(st, 0) : SPAN("ok");
    if (!span_is(said, "ok")) {
        span_copy_text(said, q->store.complaint, sizeof(q->store.complaint));
        e = ERR_STORE_CORRUPT;
    }
    (void)sqlite3_finalize(st); /* says again what the step said */
    return e;
}

static enum err look_inside(struct sqlite_store *q, const struct store_settings *settings,
                            uint64_t *sequence)
{
    int64_t version = 0;
    int64_t number = 0;
    int code =
        sqlite3_open_v2(settings->path, &q->db,
                        SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code != SQLITE_OK) {
        return store_sqlite_error(q, code);
    }
    (void)sqlite3_busy_timeout(q->db, (int)settings->busy_ms); /* always SQLITE_OK */
    enum err e = store_sqlite_version(q, &version);
    if (e == ERR_OK) {
        e = check_pages(q);
    }
    if (e == ERR_OK && version > 0) {
        e = store_sqlite_number(q, "SELECT value FROM counter WHERE name = 'journal_sequence'",
                                &number);
    }
    *sequence = (uint64_t)number;
    return e;
}

static enum err sqlite_look(const struct store_settings *settings, uint64_t *sequence)
{
    struct sqlite_store *q = memory_new(sizeof(*q));
    if (q == NULL) {
        return ERR_NO_MEMORY;
    }
    enum err e = look_inside(q, settings, sequence);
    if (e != ERR_OK) {
        hand_on(q, settings);
    }
    sqlite_close(&q->store);
    return e;
}

static enum err sqlite_begin(struct store *s, enum store_sync sync)
{
    struct sqlite_store *q = store_sqlite_of(s);
    enum err e = q->undo ? undo(q) : ERR_OK;
    if (e == ERR_OK && q->sync != sync) {
        e = store_sqlite_run(q, sync == STORE_SYNC_NOW ? "PRAGMA synchronous = FULL"
                                                       : "PRAGMA synchronous = NORMAL");
        q->sync = e == ERR_OK ? sync : q->sync;
    }
    return e == ERR_OK ? run_kept(q, SQL_BEGIN) : e;
}

static void sqlite_rollback(struct store *s)
{
    enum err e = undo(store_sqlite_of(s));
    (void)e; /* what cannot be undone now is before the next statement */
}

static enum err sqlite_commit(struct store *s)
{
    struct sqlite_store *q = store_sqlite_of(s);
    enum err e = run_kept(q, SQL_COMMIT);
    if (e != ERR_OK) {
        sqlite_rollback(s);
    }
    return e == ERR_DISK ? ERR_STORE_UNSURE : e;
}

const struct store_driver store_sqlite_driver = {
    .name = "sqlite",
    .open = sqlite_open,
    .look = sqlite_look,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .key_insert = store_sqlite_key_insert,
    .key_revoke = store_sqlite_key_revoke,
    .key_find = store_sqlite_key_find,
    .key_list = store_sqlite_key_list,
    .key_revision = store_sqlite_key_revision,
    .usage_add = store_sqlite_usage_add,
    .usage_list = store_sqlite_usage_list,
    .open_call_put = store_sqlite_open_call_put,
    .open_call_take = store_sqlite_open_call_take,
    .open_call_list = store_sqlite_open_call_list,
    .sequence_set = store_sqlite_sequence_set,
    .sequence = store_sqlite_sequence,
};
