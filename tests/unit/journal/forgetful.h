/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forgetful.h — a disk that keeps only what it was told to: what a journal does to its folder is
 * noted on the way, and at any moment the folder can be made that a death would leave.
 *
 * Of each file it knows what is kept for good (its last sync), and for each sector of 512 bytes and
 * for its size what was written since; of the folder, the names that are kept and what was done to
 * them since. Then
 *
 *   a kill       leaves all that was written
 *   a power cut  leaves of what came after the last sync nothing, all, or any of it: each sector as
 *                kept or as in one of the writes since, a size of then or between, names made,
 *                given and taken in any choice; and no lane of before is to be believed
 *
 * The functions below stand in front of the C library's for the whole test program; what they do
 * to folders that are on no such disk goes on to the system. Nothing waits for a real disk.
 *
 * Threads  any; the lock is the test's, too, and may be taken twice by its holder.
 */
#ifndef TESTS_UNIT_JOURNAL_FORGETFUL_H
#define TESTS_UNIT_JOURNAL_FORGETFUL_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

#define SECTOR    512
#define PAGE      4096
#define NAMES_MAX 64
#define OPS_MAX   64
#define FDS_MAX   256
#define DISKS_MAX 4

struct sector {
    struct sector *next; /* an earlier one; all of one file are in one chain */
    size_t number;
    uint8_t bytes[SECTOR];
};

struct file {
    struct file *next; /* all of one disk */
    size_t size, kept_size, room;
    uint8_t *live, *kept;  /* `room` bytes each, zeros behind the sizes */
    struct sector *since;  /* written since the last sync, newest first */
    size_t sizes[OPS_MAX]; /* it had since then */
    size_t size_count;
    bool is_lane;       /* mapped: what is in it is known only by looking */
    struct file *clone; /* of its disk's last copy */
};

struct names {
    size_t count;
    struct {
        char name[24];
        struct file *file;
    } at[NAMES_MAX];
};

/* A name that is given to a file (or NULL: to none), and one that is taken away, at once. */
struct name_op {
    char name[24], gone[24];
    struct file *file;
};

struct disk {
    char path[64]; /* the data folder; "journal" in it is what is noted */
    ino_t data, journal;
    bool is_named; /* "journal" is kept in the data folder */
    struct names live, kept;
    struct name_op since[OPS_MAX];
    size_t since_count;
    struct file *files;
    void (*on_point)(struct disk *d, const char *what); /* before each thing that is done */
};

static pthread_mutex_t disk_lock;
static struct disk *disks[DISKS_MAX];
static struct {
    struct disk *disk;
    struct file *file;
} disk_fds[FDS_MAX];
static char disk_boot[40] = "00000000-0000-0000-0000-000000000001";
static uint64_t disk_random = 0x9e3779b97f4a7c15;

static uint64_t disk_any(uint64_t below)
{
    disk_random ^= disk_random << 13;
    disk_random ^= disk_random >> 7;
    disk_random ^= disk_random << 17;
    return (disk_random >> 11) % below;
}

static void disk_enter(void)
{
    CHECK(pthread_mutex_lock(&disk_lock) == 0);
}

static void disk_leave(void)
{
    CHECK(pthread_mutex_unlock(&disk_lock) == 0);
}

static void *disk_memory(size_t bytes)
{
    void *block = calloc(1, bytes);
    CHECK(block != NULL);
    return block;
}

/* ---- files ---- */

static struct file *file_new(struct disk *d, bool is_lane)
{
    struct file *f = disk_memory(sizeof(*f));
    f->next = d->files;
    f->is_lane = is_lane;
    return d->files = f;
}

static void file_room(struct file *f, size_t size)
{
    if (size > f->room) {
        size_t room = (size + 65536) / SECTOR * SECTOR;
        uint8_t *live = disk_memory(room), *kept = disk_memory(room);
        if (f->room > 0) {
            memcpy(live, f->live, f->room);
            memcpy(kept, f->kept, f->room);
        }
        free(f->live);
        free(f->kept);
        f->live = live;
        f->kept = kept;
        f->room = room;
    }
}

static void file_forget(struct file *f)
{
    while (f->since != NULL) {
        struct sector *s = f->since;
        f->since = s->next;
        free(s);
    }
    f->size_count = 0;
}

static void file_resize(struct file *f, size_t size)
{
    file_room(f, size);
    if (size < f->size) {
        memset(f->live + size, 0, f->size - size);
    }
    f->size = size;
    CHECK(f->size_count < OPS_MAX);
    f->sizes[f->size_count++] = size;
}

static void file_write(struct file *f, const void *bytes, size_t len, size_t at)
{
    if (len > 0 && at + len > f->size) {
        file_resize(f, at + len);
    }
    memcpy(f->live + at, bytes, len);
    for (size_t n = at / SECTOR; n * SECTOR < at + len; n++) {
        struct sector *s = disk_memory(sizeof(*s));
        s->number = n;
        memcpy(s->bytes, f->live + n * SECTOR, SECTOR);
        s->next = f->since;
        f->since = s;
    }
}

static void file_sync(struct file *f)
{
    if (f->room > 0) {
        memcpy(f->kept, f->live, f->room);
    }
    f->kept_size = f->size;
    file_forget(f);
}

/* ---- names ---- */

static struct file *names_find(const struct names *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++) {
        if (strcmp(n->at[i].name, name) == 0) {
            return n->at[i].file;
        }
    }
    return NULL;
}

static void names_set(struct names *n, const char *name, struct file *file)
{
    size_t i = 0;
    while (i < n->count && strcmp(n->at[i].name, name) != 0) {
        i++;
    }
    if (file == NULL) {
        n->count -= i < n->count;
        n->at[i < NAMES_MAX ? i : 0] = n->at[n->count];
        return;
    }
    CHECK(i < NAMES_MAX);
    n->count += i == n->count;
    (void)snprintf(n->at[i].name, sizeof(n->at[i].name), "%s", name);
    n->at[i].file = file;
}

static void names_do(struct names *n, const struct name_op *op)
{
    if (op->gone[0] != '\0' && names_find(n, op->gone) != NULL) {
        names_set(n, op->gone, NULL);
    }
    if (op->name[0] != '\0') {
        names_set(n, op->name, op->file);
    }
}

static void disk_rename(struct disk *d, const char *gone, const char *name, struct file *file)
{
    CHECK(d->since_count < OPS_MAX);
    struct name_op *op = &d->since[d->since_count++];
    *op = (struct name_op){.file = file};
    (void)snprintf(op->gone, sizeof(op->gone), "%s", gone);
    (void)snprintf(op->name, sizeof(op->name), "%s", name);
    names_do(&d->live, op);
}

/* ---- what a death leaves ---- */

enum death { KILLED, CUT_NOTHING, CUT_ALL, CUT_ANY, DEATHS };

static size_t cut_size(const struct file *f, enum death death)
{
    size_t last = f->size_count == 0 ? f->kept_size : f->size;
    if (death != CUT_ANY || f->size_count == 0) {
        return death == CUT_NOTHING ? f->kept_size : last;
    }
    size_t i = disk_any(f->size_count + 1);
    size_t chosen = i == f->size_count ? f->kept_size : f->sizes[i];
    size_t edge = f->kept_size / SECTOR * SECTOR + SECTOR; /* it may have grown by sectors */
    return chosen < edge || disk_any(2) == 0
               ? chosen
               : edge + disk_any((chosen - edge) / SECTOR + 1) * SECTOR;
}

/* The file as a power cut leaves it. */
static struct file *cut_file(struct disk *to, const struct file *f, enum death death)
{
    struct file *out = file_new(to, f->is_lane);
    size_t size = cut_size(f, death);
    file_room(out, f->room > size ? f->room : size + 1);
    if (f->room > 0) {
        memcpy(out->live, f->kept, f->room);
    }
    for (const struct sector *s = f->since; s != NULL && death != CUT_NOTHING; s = s->next) {
        bool is_taken = false; /* newest first: a later one of the same sector stands */
        for (const struct sector *t = f->since; death == CUT_ALL && t != s; t = t->next) {
            is_taken |= t->number == s->number;
        }
        if (death == CUT_ALL ? !is_taken : disk_any(2) == 0) {
            memcpy(out->live + s->number * SECTOR, s->bytes, SECTOR);
        }
    }
    out->size = out->kept_size = size;
    memset(out->live + size, 0, out->room - size);
    memcpy(out->kept, out->live, out->room);
    return out;
}

/* The file as it is, with all that is not kept yet. */
static struct file *copy_file(struct disk *to, const struct file *f)
{
    struct file *out = file_new(to, f->is_lane);
    file_room(out, f->room);
    out->size = f->size;
    out->kept_size = f->kept_size;
    out->size_count = f->size_count;
    memcpy(out->sizes, f->sizes, sizeof(f->sizes));
    if (f->room > 0) {
        memcpy(out->live, f->live, f->room);
        memcpy(out->kept, f->kept, f->room);
    }
    struct sector **end = &out->since;
    for (const struct sector *s = f->since; s != NULL; s = s->next) {
        *end = disk_memory(sizeof(**end));
        **end = *s;
        end = &(*end)->next;
    }
    *end = NULL;
    return out;
}

static void point_at_clones(struct names *n)
{
    for (size_t i = 0; i < n->count; i++) {
        n->at[i].file = n->at[i].file->clone;
    }
}

/* Which of the names' changes a power cut keeps: the first ones, or any. */
static void cut_names(const struct disk *d, enum death death, struct names *out)
{
    bool in_order = disk_any(2) == 0;
    size_t first = disk_any(d->since_count + 1);
    *out = d->kept;
    for (size_t i = 0; i < d->since_count; i++) {
        bool stays = in_order ? i < first : disk_any(2) == 0;
        if (death == CUT_ALL || (death == CUT_ANY && stays)) {
            names_do(out, &d->since[i]);
        }
    }
}

/* Makes `to` what death leaves of `d`. */
static void disk_die(struct disk *d, enum death death, struct disk *to)
{
    *to = (struct disk){.is_named = d->is_named};
    for (struct file *f = d->files; f != NULL; f = f->next) {
        f->clone = death == KILLED ? copy_file(to, f) : cut_file(to, f, death);
    }
    if (death != KILLED) {
        cut_names(d, death, &to->live);
        to->is_named |= death == CUT_ALL || (death == CUT_ANY && disk_any(2) == 0);
        point_at_clones(&to->live);
        to->kept = to->live;
        return;
    }
    to->live = d->live;
    to->kept = d->kept;
    point_at_clones(&to->live);
    point_at_clones(&to->kept);
    to->since_count = d->since_count;
    for (size_t i = 0; i < d->since_count; i++) {
        to->since[i] = d->since[i];
        to->since[i].file = d->since[i].file == NULL ? NULL : d->since[i].file->clone;
    }
}

static void disk_free(struct disk *d)
{
    while (d->files != NULL) {
        struct file *f = d->files;
        d->files = f->next;
        file_forget(f);
        free(f->live);
        free(f->kept);
        free(f);
    }
}

/* ---- between the journal and the system ---- */

/* Notes from now on what is done in d->path. */
static void disk_begin(struct disk *d)
{
    struct stat st;
    size_t i = 0;
    CHECK(stat(d->path, &st) == 0);
    d->data = st.st_ino;
    char journal[80];
    (void)snprintf(journal, sizeof(journal), "%s/journal", d->path);
    d->journal = stat(journal, &st) == 0 ? st.st_ino : 0;
    while (disks[i] != NULL) {
        CHECK(++i < DISKS_MAX);
    }
    disks[i] = d;
}

static void disk_end(const struct disk *d)
{
    for (size_t i = 0; i < DISKS_MAX; i++) {
        disks[i] = disks[i] == d ? NULL : disks[i];
    }
}

/* The disk whose journal folder `fd` is; `*is_data`: or its data folder. */
static struct disk *disk_of(int fd, bool *is_data)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return NULL;
    }
    for (size_t i = 0; i < DISKS_MAX; i++) {
        struct disk *d = disks[i];
        if (d != NULL && (d->journal == st.st_ino || d->data == st.st_ino)) {
            *is_data = d->data == st.st_ino;
            return d;
        }
    }
    return NULL;
}

static void point(struct disk *d, const char *what)
{
    if (d != NULL && d->on_point != NULL) {
        d->on_point(d, what);
    }
}

static struct file *file_of(int fd, struct disk **d)
{
    *d = fd >= 0 && fd < FDS_MAX ? disk_fds[fd].disk : NULL;
    return *d == NULL ? NULL : disk_fds[fd].file;
}

int forgetful_openat(int folder, const char *path, int flags, ...) __asm__("openat64");
int forgetful_openat(int folder, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    bool is_data = false;
    disk_enter();
    struct disk *d = (flags & O_DIRECTORY) != 0 ? NULL : disk_of(folder, &is_data);
    if (d != NULL && (flags & O_CREAT) != 0) {
        point(d, "create");
    }
    int fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    if (d != NULL && fd >= 0) {
        struct file *f = names_find(&d->live, path);
        if (f == NULL) {
            CHECK((flags & O_CREAT) != 0);
            f = file_new(d, strncmp(path, "lane-", 5) == 0 || strcmp(path, "reserve") == 0);
            disk_rename(d, "", path, f);
        } else if ((flags & O_TRUNC) != 0) {
            file_resize(f, 0);
        }
        CHECK(fd < FDS_MAX);
        disk_fds[fd].disk = d;
        disk_fds[fd].file = f;
    }
    disk_leave();
    return fd;
}

int forgetful_open(const char *path, int flags, ...) __asm__("open64");
int forgetful_open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) {
        int fd = memfd_create("boot", MFD_CLOEXEC);
        CHECK(fd >= 0 && write(fd, disk_boot, 36) == 36 && lseek(fd, 0, SEEK_SET) == 0);
        return fd;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int close(int fd)
{
    disk_enter();
    if (fd >= 0 && fd < FDS_MAX) {
        disk_fds[fd].disk = NULL;
    }
    int result = (int)syscall(SYS_close, fd);
    disk_leave();
    return result;
}

ssize_t forgetful_pwrite(int fd, const void *from, size_t n, off_t at) __asm__("pwrite64");
ssize_t forgetful_pwrite(int fd, const void *from, size_t n, off_t at)
{
    struct disk *d;
    disk_enter();
    struct file *f = file_of(fd, &d);
    point(d, "write");
    /* It may die in between: the kernel takes it page by page. */
    size_t part = f != NULL ? (PAGE - (size_t)at % PAGE) + PAGE * disk_any(n / PAGE + 1) : 0;
    part = part < n ? part : 0;
    if (part > 0) {
        CHECK(syscall(SYS_pwrite64, fd, from, part, at) == (ssize_t)part);
        file_write(f, from, part, (size_t)at);
        point(d, "rest of a write");
    }
    ssize_t done = syscall(SYS_pwrite64, fd, (const char *)from + part, n - part, at + (off_t)part);
    CHECK(done == (ssize_t)(n - part));
    if (f != NULL) {
        file_write(f, (const char *)from + part, n - part, (size_t)at + part);
    }
    disk_leave();
    return (ssize_t)n;
}

int forgetful_ftruncate(int fd, off_t size) __asm__("ftruncate64");
int forgetful_ftruncate(int fd, off_t size)
{
    struct disk *d;
    disk_enter();
    struct file *f = file_of(fd, &d);
    point(d, "truncate");
    int result = (int)syscall(SYS_ftruncate, fd, size);
    if (f != NULL && result == 0) {
        file_resize(f, (size_t)size);
    }
    disk_leave();
    return result;
}

/* There is always room here: taking it would only take time. */
int fallocate(int fd, int mode, off_t offset, off_t len)
{
    return fd >= 0 && mode >= 0 && offset >= 0 && len > 0 ? 0 : -1;
}

int posix_fallocate(int fd, off_t offset, off_t len)
{
    return (int)syscall(SYS_ftruncate, fd, offset + len) == 0 ? 0 : errno;
}

int fdatasync(int fildes)
{
    struct disk *d;
    disk_enter();
    struct file *f = file_of(fildes, &d);
    point(d, "sync");
    if (f != NULL) {
        file_sync(f);
    }
    disk_leave();
    return 0;
}

int fsync(int fd)
{
    bool is_data = false;
    disk_enter();
    struct disk *d = disk_of(fd, &is_data);
    point(d, "sync of a folder");
    if (d != NULL && is_data) {
        d->is_named = true;
    } else if (d != NULL) {
        d->kept = d->live;
        d->since_count = 0;
    }
    disk_leave();
    return 0;
}

int mkdir(const char *path, mode_t mode)
{
    struct stat st;
    disk_enter();
    int result = (int)syscall(SYS_mkdir, path, mode);
    for (size_t i = 0; result == 0 && i < DISKS_MAX; i++) {
        struct disk *d = disks[i];
        if (d != NULL && strncmp(path, d->path, strlen(d->path)) == 0 && stat(path, &st) == 0) {
            d->journal = st.st_ino;
        }
    }
    disk_leave();
    return result;
}

int renameat(int oldfd, const char *old, int newfd, const char *new)
{
    bool is_data = false;
    disk_enter();
    struct disk *d = disk_of(oldfd, &is_data);
    point(d, "rename");
    int result = (int)syscall(SYS_renameat, oldfd, old, newfd, new);
    if (d != NULL && result == 0) {
        disk_rename(d, old, new, names_find(&d->live, old));
    }
    disk_leave();
    return result;
}

int unlinkat(int fd, const char *name, int flag)
{
    bool is_data = false;
    disk_enter();
    struct disk *d = disk_of(fd, &is_data);
    point(d, "unlink");
    int result = (int)syscall(SYS_unlinkat, fd, name, flag);
    if (d != NULL && result == 0) {
        disk_rename(d, name, "", NULL);
    }
    disk_leave();
    return result;
}

#endif
