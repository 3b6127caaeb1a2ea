/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder.h — a data folder for one test, and a disk that can be told to be full, to fail, or not
 * to wait: this header's functions stand in front of the C library's for the whole test program.
 */
#ifndef TESTS_UNIT_JOURNAL_FOLDER_H
#define TESTS_UNIT_JOURNAL_FOLDER_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "journal/journal.h"

#ifndef TESTS_UNIT_JOURNAL_FORGETFUL_H /* that one stands in front of the library, too */
static struct {
    _Atomic int full;     /* errno of every fallocate() of a segment; 0: as it is */
    _Atomic int sync;     /* errno of every fdatasync() */
    _Atomic int syncs;    /* fdatasync() calls so far */
    _Atomic int no_waits; /* fdatasync() and fsync() say yes at once: others may keep the disk busy
                             for longer than a test has */
} disk;

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    int number = atomic_load(&disk.full);
    if (number != 0) {
        errno = number;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

int fdatasync(int fildes)
{
    int number = atomic_load(&disk.sync);
    atomic_fetch_add(&disk.syncs, 1);
    if (number != 0) {
        errno = number;
        return -1;
    }
    return atomic_load(&disk.no_waits) != 0 ? 0 : (int)syscall(SYS_fdatasync, fildes);
}

int fsync(int fd)
{
    return atomic_load(&disk.no_waits) != 0 ? 0 : (int)syscall(SYS_fsync, fd);
}

#endif

struct folder {
    char path[64];    /* the data folder */
    char journal[80]; /* the journal's, in it */
};

static inline struct folder folder_new(void)
{
    struct folder f = {.path = "/tmp/atlas-journal-XXXXXX"};
    assert_non_null(mkdtemp(f.path));
    (void)snprintf(f.journal, sizeof(f.journal), "%s/journal", f.path);
    return f;
}

static void folder_empty(const char *path)
{
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        (void)unlinkat(dirfd(folder), entry->d_name, 0); /* folders stay: "." and ".." do too */
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

static void folder_remove(const struct folder *f)
{
    folder_empty(f->journal);
    (void)rmdir(f->journal);
    assert_int_equal(rmdir(f->path), 0);
}

static const struct journal_seen nothing_seen = {.sequence = 0};

static const struct journal_settings journal_quick = {
    .commit_interval_ms = 1, .segment_bytes = 64 << 20, .slots = 256};

/* An intent or completion of call number `call`. */
static inline struct journal_record record_of(enum journal_kind kind, uint64_t call)
{
    struct journal_record r = {.kind = (uint8_t)kind, .attempt = 1, .started_ms = 1790000000000};
    memcpy(r.call_id, &call, sizeof(call));
    r.outcome = kind == JOURNAL_COMPLETION ? JOURNAL_OUTCOME_OK : JOURNAL_OUTCOME_NONE;
    journal_record_set(&r, JOURNAL_TEXT_KEY, SPAN("0123456789ab"));
    journal_record_set(&r, JOURNAL_TEXT_MODEL, SPAN("arabic-large"));
    journal_record_set(&r, JOURNAL_TEXT_UPSTREAM, SPAN("falcon-gpu"));
    return r;
}

/* Whether a text of the record is this. */
static inline bool says(const struct journal_record *r, enum journal_text which, const char *text)
{
    return span_is(journal_record_text(r, which), text);
}

static inline uint64_t call_of(const struct journal_record *r)
{
    uint64_t call;
    memcpy(&call, r->call_id, sizeof(call));
    return call;
}

#endif
