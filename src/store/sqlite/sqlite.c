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

#include "base/file.h"
#include "base/memory.h"
#include "store/sqlite/sqlite_internal.h"

static const char *const texts[SQL_PLAIN] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE", [SQL_COMMIT] = "COMMIT", [SQL_ROLLBACK] = "ROLLBACK"};

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

static enum err note_error(struct sqlite_store *q, int code)
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
    return note_error(q, sqlite3_exec(q->db, sql, NULL, NULL, NULL));
}

enum err store_sqlite_number(struct sqlite_store *q, const char *sql, int64_t *out)
{
    sqlite3_stmt *st = NULL;
    int code = sqlite3_prepare_v2(q->db, sql, -1, &st, NULL);
    if (code != SQLITE_OK) {
        return note_error(q, code);
    }
    code = sqlite3_step(st);
    int64_t number = code == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    enum err e = note_error(q, code);
    (void)sqlite3_finalize(st); /* says again what the step said */
    if (e == ERR_OK) {
        *out = number;
    }
    return e;
}

enum err store_sqlite_prepare(struct sqlite_store *q, const char *sql, sqlite3_stmt **kept)
{
    if (*kept != NULL) {
        return ERR_OK;
    }
    return note_error(q, sqlite3_prepare_v3(q->db, sql, -1, SQLITE_PREPARE_PERSISTENT, kept, NULL));
}

/* Runs one of BEGIN, COMMIT and ROLLBACK. */
static enum err run_plain(struct sqlite_store *q, enum sqlite_plain which)
{
    enum err e = store_sqlite_prepare(q, texts[which], &q->plain[which]);
    return e == ERR_OK ? store_sqlite_step(q, q->plain[which]) : e;
}

/* Undoes what a batch has done, unless SQLite has by itself. */
static enum err undo(struct sqlite_store *q)
{
    enum err e = sqlite3_get_autocommit(q->db) != 0 ? ERR_OK : run_plain(q, SQL_ROLLBACK);
    q->undo = e != ERR_OK;
    return e;
}

enum err store_sqlite_undo(struct sqlite_store *q)
{
    return q->undo ? undo(q) : ERR_OK;
}

enum err store_sqlite_done(struct sqlite_store *q, sqlite3_stmt *st, int code)
{
    enum err e = note_error(q, code);
    (void)sqlite3_reset(st); /* says again what the step said */
    (void)sqlite3_clear_bindings(st);
    return e;
}

enum err store_sqlite_step(struct sqlite_store *q, sqlite3_stmt *st)
{
    return store_sqlite_done(q, st, sqlite3_step(st));
}

static void sqlite_close(struct store *s)
{
    struct sqlite_store *q = store_sqlite_of(s);
    for (size_t i = 0; i < SQL_PLAIN; i++) {
        (void)sqlite3_finalize(q->plain[i]); /* says again what its last step said */
    }
    for (size_t i = 0; q->statements != NULL && i < s->tables->count * SQL_OF_TABLE; i++) {
        (void)sqlite3_finalize(q->statements[i]); /* the same */
    }
    if (q->db != NULL) {
        CHECK(sqlite3_close(q->db) == SQLITE_OK); /* fails only if a statement is left */
    }
    memory_free(q->statements);
    memory_free(q->path);
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

static enum err open_as(struct sqlite_store *q, int flags)
{
    const char *why;
    if (!file_is_regular(q->path, &why) && errno == EINVAL) { /* SQLite would wait at a pipe */
        span_copy_text(span_of(why), q->store.complaint, sizeof(q->store.complaint));
        return ERR_FILE;
    }
    int code =
        sqlite3_open_v2(q->path, &q->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code != SQLITE_OK) {
        return note_error(q, code);
    }
    (void)sqlite3_busy_timeout(q->db, (int)q->busy_ms); /* always SQLITE_OK */
    return ERR_OK;
}

/* Opens the file only to read it. */
static enum err open_to_look(struct sqlite_store *q, bool *is_empty)
{
    enum err e = open_as(q, SQLITE_OPEN_READONLY);
    return e == ERR_OK ? store_sqlite_look_at_tables(q, is_empty) : e;
}

static enum err open_to_read(struct sqlite_store *q)
{
    bool is_empty;
    enum err e = open_to_look(q, &is_empty);
    if (e == ERR_OK && is_empty) {
        span_copy_text(SPAN("it has no tables yet; the next start makes them"), q->store.complaint,
                       sizeof(q->store.complaint));
        return ERR_FILE;
    }
    return e;
}

static enum err open_to_write(struct sqlite_store *q)
{
    bool is_empty;
    enum err e = make_file(q->path);
    if (e != ERR_OK) {
        (void)snprintf(q->store.complaint, sizeof(q->store.complaint),
                       "the file cannot be made: %s", strerrordesc_np(errno));
        return e;
    }
    e = open_as(q, SQLITE_OPEN_READWRITE);
    if (e == ERR_OK) { /* before anything is changed in a file of others */
        e = store_sqlite_look_at_tables(q, &is_empty);
    }
    if (e == ERR_OK) {
        e = store_sqlite_run(q, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
                                "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"
                                "PRAGMA journal_size_limit = 67108864;");
    }
    q->sync = STORE_SYNC_NOW;
    return e == ERR_OK && is_empty ? store_sqlite_make_tables(q) : e;
}

/* A store that is not open yet; NULL without memory. */
static struct sqlite_store *new_store(const char *path, int64_t busy_ms,
                                      const struct store_tables *tables)
{
    struct sqlite_store *q = memory_new(sizeof(*q));
    if (q == NULL) {
        return NULL;
    }
    q->store.driver = &store_sqlite_driver;
    q->store.tables = tables == NULL ? &store_tables : tables;
    q->busy_ms = busy_ms;
    q->path = memory_text(path);
    q->statements = memory_new_array(q->store.tables->count, SQL_OF_TABLE * sizeof(sqlite3_stmt *));
    if (q->path == NULL || q->statements == NULL) {
        sqlite_close(&q->store);
        return NULL;
    }
    return q;
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
    struct sqlite_store *q = new_store(settings->path, settings->busy_ms, settings->tables);
    if (q == NULL) {
        return ERR_NO_MEMORY;
    }
    enum err e = settings->looks_only ? open_to_read(q) : open_to_write(q);
    if (e != ERR_OK) {
        hand_on(q, settings);
        sqlite_close(&q->store);
        return e;
    }
    *out = &q->store;
    return ERR_OK;
}

static enum err sqlite_open_reader(struct store *s, struct store **out)
{
    const struct sqlite_store *writer = store_sqlite_of(s);
    struct sqlite_store *q = new_store(writer->path, writer->busy_ms, s->tables);
    if (q == NULL) {
        return ERR_NO_MEMORY;
    }
    bool is_empty; /* it is not; this opens its log, for which no descriptor may be left later */
    enum err e = open_to_look(q, &is_empty);
    if (e != ERR_OK) {
        sqlite_close(&q->store);
        return e;
    }
    *out = &q->store;
    return ERR_OK;
}

static void sqlite_set_busy(struct store *s, int64_t busy_ms)
{
    struct sqlite_store *q = store_sqlite_of(s);
    q->busy_ms = busy_ms;
    (void)sqlite3_busy_timeout(q->db, (int)busy_ms); /* always SQLITE_OK */
}

/* Reads every page; SQLite says "ok", or what is wrong. */
static enum err check_pages(struct sqlite_store *q)
{
    sqlite3_stmt *st = NULL;
    int code = sqlite3_prepare_v2(q->db, "PRAGMA quick_check(1)", -1, &st, NULL);
    if (code != SQLITE_OK) {
        return note_error(q, code);
    }
    code = sqlite3_step(st);
    enum err e = note_error(q, code);
    const char *text = e == ERR_OK ? (const char *)sqlite3_column_text(st, 0) : "ok";
    struct span said = span_of(text == NULL ? "no memory" : text);
    if (!span_is(said, "ok")) {
        span_copy_text(said, q->store.complaint, sizeof(q->store.complaint));
        e = ERR_STORE_CORRUPT;
    }
    (void)sqlite3_finalize(st); /* says again what the step said */
    return e;
}

static enum err look_inside(struct sqlite_store *q, uint64_t *sequence)
{
    bool is_empty = true;
    int64_t number = 0;
    enum err e = open_to_look(q, &is_empty);
    if (e == ERR_OK) {
        e = check_pages(q);
    }
    if (e == ERR_OK && !is_empty) {
        e = store_sqlite_number(q, "SELECT number FROM meta WHERE name = 'journal_sequence'",
                                &number);
    }
    *sequence = (uint64_t)number;
    return e;
}

static enum err sqlite_look(const struct store_settings *settings, uint64_t *sequence)
{
    struct sqlite_store *q = new_store(settings->path, settings->busy_ms, settings->tables);
    if (q == NULL) {
        return ERR_NO_MEMORY;
    }
    enum err e = look_inside(q, sequence);
    if (e != ERR_OK) {
        hand_on(q, settings);
    }
    sqlite_close(&q->store);
    return e;
}

static enum err sqlite_begin(struct store *s, enum store_sync sync)
{
    struct sqlite_store *q = store_sqlite_of(s);
    enum err e = store_sqlite_undo(q);
    if (e == ERR_OK && q->sync != sync) {
        e = store_sqlite_run(q, sync == STORE_SYNC_NOW ? "PRAGMA synchronous = FULL"
                                                       : "PRAGMA synchronous = NORMAL");
        q->sync = e == ERR_OK ? sync : q->sync;
    }
    return e == ERR_OK ? run_plain(q, SQL_BEGIN) : e;
}

static void sqlite_rollback(struct store *s)
{
    enum err e = undo(store_sqlite_of(s));
    (void)e; /* what cannot be undone now is before the next statement */
}

static enum err sqlite_commit(struct store *s)
{
    struct sqlite_store *q = store_sqlite_of(s);
    enum err e = run_plain(q, SQL_COMMIT);
    if (e != ERR_OK) {
        sqlite_rollback(s);
    }
    return e == ERR_DISK ? ERR_STORE_UNSURE : e;
}

const struct store_driver store_sqlite_driver = {
    .name = "sqlite",
    .open = sqlite_open,
    .open_reader = sqlite_open_reader,
    .look = sqlite_look,
    .close = sqlite_close,
    .set_busy = sqlite_set_busy,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .get = store_sqlite_get,
    .insert = store_sqlite_insert,
    .replace = store_sqlite_replace,
    .update = store_sqlite_update,
    .remove = store_sqlite_remove,
    .add = store_sqlite_add,
    .page = store_sqlite_page,
    .count = store_sqlite_count,
};
