/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line is 32 bytes and never crosses a sector, so it is written whole or not at all:
 *
 *     <id: 12> <seconds since 1970: 11 digits> <CRC-32 of all before it in Base62: 6>
 *
 * A line that begins with a space is blank: the first of them is the end.
 */
#include "keys/key_deny.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "crypto/base62.h"
#include "crypto/crc.h"

#define LINE_BYTES    KEY_DENY_LINE_BYTES
#define SECONDS_CHARS 11
#define SECONDS_MAX   99999999999
#define CHECKED_BYTES (KEY_ID_CHARS + 1 + SECONDS_CHARS) /* what the checksum is over */
#define CHUNK_LINES   128
#define GROW_LINES    ((uint64_t)2 * KEY_DENY_SPARE)
#define LOCK_WAIT_MS  200 /* the journal takes the revocation then, and a second is all it has */
#define LOCK_PAUSE_NS 2000000

struct key_deny {
    int fd; /* stays the same number, whatever file is behind it */
    char *path;
    pthread_mutex_t lock; /* of the writers in this process; flock() keeps others' out */
};

enum line_state { LINE_BLANK, LINE_ENTRY, LINE_DAMAGED };

static enum err disk_error(void)
{
    return errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_DISK;
}

/* Reads up to `size` bytes at `at`; fewer only at the end of the file. */
static enum err read_at(int fd, char *to, size_t size, uint64_t at, size_t *got)
{
    *got = 0;
    while (*got < size) {
        ssize_t n = pread(fd, to + *got, size - *got, (off_t)(at + *got));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return ERR_DISK;
        }
        if (n == 0) {
            break;
        }
        *got += (size_t)n;
    }
    return ERR_OK;
}

static enum err write_at(int fd, const char *from, size_t size, uint64_t at)
{
    while (size > 0) {
        ssize_t n = pwrite(fd, from, size, (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return disk_error();
        }
        from += n;
        size -= (size_t)n;
        at += (uint64_t)n;
    }
    return ERR_OK;
}

static int64_t seconds_of(wall_us when)
{
    int64_t seconds = when.us / 1000000;
    return seconds < 0 ? 0 : seconds > SECONDS_MAX ? SECONDS_MAX : seconds;
}

wall_us key_deny_moment(wall_us when)
{
    int64_t seconds = seconds_of(when);
    return (wall_us){(seconds == 0 ? 1 : seconds) * 1000000}; /* 0 is "it was not" */
}

static void line_write(struct span id, wall_us when, char out[LINE_BYTES])
{
    int64_t seconds = seconds_of(when);
    char text[LINE_BYTES + 1];
    (void)snprintf(text, sizeof(text), "%.*s %011lld ", SPAN_ARGS(id), (long long)seconds);
    crypto_base62_write(crypto_crc32(0, span_make(text, CHECKED_BYTES)), text + CHECKED_BYTES + 1,
                        CRYPTO_BASE62_U32_CHARS);
    memcpy(out, text, LINE_BYTES - 1);
    out[LINE_BYTES - 1] = '\n';
}

static bool is_id(struct span id)
{
    return id.len == KEY_ID_CHARS && crypto_is_base62(id);
}

/* What a line says; `out` is filled where there is an id in it, and else has an empty one. */
static enum line_state line_parse(const char line[LINE_BYTES], struct key_denial *out)
{
    *out = (struct key_denial){0};
    if (line[0] == ' ') {
        return LINE_BLANK;
    }
    char again[LINE_BYTES];
    uint64_t seconds = 0;
    struct span id = span_make(line, KEY_ID_CHARS);
    if (!is_id(id)) {
        return LINE_DAMAGED;
    }
    memcpy(out->id, line, KEY_ID_CHARS);
    bool is_time =
        span_to_u64(span_make(line + KEY_ID_CHARS + 1, SECONDS_CHARS), SECONDS_MAX, &seconds);
    out->when = key_deny_moment((wall_us){(int64_t)seconds * 1000000});
    line_write(id, (wall_us){(int64_t)seconds * 1000000}, again);
    return is_time && memcmp(line, again, LINE_BYTES) == 0 ? LINE_ENTRY : LINE_DAMAGED;
}

/* Goes through the lines of one piece of the file; true when the end of the entries is in it. */
static bool read_lines(const char *at, size_t lines, bool is_last, struct key_deny_place *place,
                       key_on_denial *on_denial, void *context)
{
    for (size_t i = 0; i < lines; i++) {
        struct key_denial denial;
        enum line_state state = line_parse(at + i * LINE_BYTES, &denial);
        if (state == LINE_BLANK) {
            return true;
        }
        if (denial.id[0] != '\0') {
            on_denial(context, &denial);
        }
        if (state == LINE_DAMAGED) {
            bool has_next = i + 1 < lines && at[(i + 1) * LINE_BYTES] != ' ';
            if (!has_next && (i + 1 < lines || is_last)) {
                return true; /* it may be on its way to the file */
            }
            place->damaged++;
        }
        memcpy(place->last, at + i * LINE_BYTES, LINE_BYTES);
        place->line++;
    }
    return is_last;
}

enum err key_deny_read(struct key_deny *d, struct key_deny_place *place, key_on_denial *on_denial,
                       void *context)
{
    char chunk[CHUNK_LINES * LINE_BYTES];
    for (bool is_end = false; !is_end;) {
        size_t got;
        enum err e = read_at(d->fd, chunk, sizeof(chunk), place->line * LINE_BYTES, &got);
        if (e != ERR_OK) {
            return e;
        }
        is_end =
            read_lines(chunk, got / LINE_BYTES, got < sizeof(chunk), place, on_denial, context);
    }
    return ERR_OK;
}

/* Where an entry goes: behind all that is not blank. */
struct search {
    struct span id;
    bool is_there;
};

static void on_searched(void *context, const struct key_denial *denial)
{
    struct search *s = context;
    s->is_there = s->is_there || memcmp(denial->id, s->id.at, KEY_ID_CHARS) == 0;
}

static enum err find_end(struct key_deny *d, struct search *s, uint64_t *end)
{
    struct key_deny_place place = {0};
    enum err e = key_deny_read(d, &place, on_searched, s);
    char line[LINE_BYTES] = {0};
    size_t got = 0;
    if (e == ERR_OK) {
        e = read_at(d->fd, line, sizeof(line), place.line * LINE_BYTES, &got);
    }
    /* What reading stopped at may be a last line that is damaged: with the lock, nobody is at it.
     */
    *end = place.line + (got == sizeof(line) && line[0] != ' ' ? 1 : 0);
    return e;
}

/* Sees to it that there are blank lines behind `end`. What the disk refuses is taken back. */
static enum err keep_spare(int fd, uint64_t end)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return ERR_DISK;
    }
    uint64_t lines = (uint64_t)st.st_size / LINE_BYTES;
    if (lines >= end + KEY_DENY_SPARE) {
        return ERR_OK;
    }
    char *blank = memory_raw(GROW_LINES * LINE_BYTES);
    if (blank == NULL) {
        return ERR_NO_MEMORY;
    }
    memset(blank, ' ', GROW_LINES * LINE_BYTES);
    for (size_t i = 1; i <= GROW_LINES; i++) {
        blank[i * LINE_BYTES - 1] = '\n';
    }
    enum err e = write_at(fd, blank, GROW_LINES * LINE_BYTES, lines * LINE_BYTES);
    memory_free(blank);
    if (e == ERR_OK && fsync(fd) != 0) {
        e = disk_error();
    }
    if (e != ERR_OK) {
        (void)!ftruncate(fd, (off_t)(lines * LINE_BYTES)); /* then blanks stay that are no harm */
    }
    return e;
}

/* A file that root made in another user's folder is of no use to its gateway. */
static void give_to_owner(int fd, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stat st;
    char folder[4096];
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    if (geteuid() != 0 || len == 0 || len >= sizeof(folder)) {
        return;
    }
    memcpy(folder, path, len);
    folder[len] = '\0';
    if (stat(folder, &st) == 0) {
        (void)!fchown(fd, st.st_uid, st.st_gid); /* root can start the gateway all the same */
    }
}

static enum err open_file(const char *path, int *out)
{
    const int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK; /* a FIFO is not waited for */
    struct stat st;
    bool is_new = access(path, F_OK) != 0; /* whose it shall be is then seen to below */
    int fd = open(path, flags | O_CREAT, 0600);
    if (fd < 0) {
        return errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_FILE;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd); /* nothing was written */
        return ERR_FILE;
    }
    enum err e = ERR_OK;
    if (is_new) { /* an entry that is on the disk is of no use in a file that has no name there */
        give_to_owner(fd, path);
        e = file_sync_name(path);
    }
    if (e != ERR_OK) {
        (void)close(fd); /* nothing was written */
        return e;
    }
    *out = fd;
    return ERR_OK;
}

/* Keeps other processes' writers out, unless one of them stands still with the lock. */
static enum err lock_file(int fd)
{
    const mono_us deadline = clock_after_ms(clock_mono(), LOCK_WAIT_MS);
    const struct timespec pause = {0, LOCK_PAUSE_NS};
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (clock_since(deadline, clock_mono()) >= 0) {
            return ERR_LOCKED;
        }
        (void)nanosleep(&pause, NULL); /* woken early, it only looks early */
    }
    return ERR_OK;
}

static void unlock_file(int fd)
{
    (void)flock(fd, LOCK_UN); /* cannot fail on a descriptor that is locked */
}

/* Room for entries to come. A new file that gets none would not hold a revocation. */
static enum err prepare(struct key_deny *d)
{
    struct search nothing = {.id = SPAN("            ")};
    uint64_t end = 0;
    enum err e = lock_file(d->fd);
    if (e != ERR_OK) {
        return ERR_OK; /* whoever has the lock does it */
    }
    e = find_end(d, &nothing, &end);
    enum err spare = e == ERR_OK ? keep_spare(d->fd, end) : e;
    unlock_file(d->fd);
    return e == ERR_OK && end == 0 && spare == ERR_DISK_FULL ? spare : e;
}

enum err key_deny_open(const char *path, struct key_deny **out)
{
    struct key_deny *d = memory_new(sizeof(*d));
    if (d == NULL) {
        return ERR_NO_MEMORY;
    }
    CHECK(pthread_mutex_init(&d->lock, NULL) == 0);
    d->fd = -1;
    d->path = memory_text(path);
    enum err e = d->path == NULL ? ERR_NO_MEMORY : open_file(path, &d->fd);
    if (e == ERR_OK) {
        e = prepare(d);
    }
    if (e != ERR_OK) {
        key_deny_close(&d);
        return e;
    }
    *out = d;
    return ERR_OK;
}

void key_deny_close(struct key_deny **d)
{
    if (*d == NULL) {
        return;
    }
    if ((*d)->fd >= 0) {
        (void)close((*d)->fd); /* what was written is synced */
    }
    (void)pthread_mutex_destroy(&(*d)->lock); /* nobody holds it */
    memory_free((*d)->path);
    memory_free(*d);
    *d = NULL;
}

/* Puts the file that is there now behind our descriptor: who reads meanwhile sees one or the other.
 */
static enum err take_other(struct key_deny *d)
{
    int fd = -1;
    enum err e = open_file(d->path, &fd);
    if (e != ERR_OK) {
        return e;
    }
    CHECK(pthread_mutex_lock(&d->lock) == 0);
    bool is_taken = dup3(fd, d->fd, O_CLOEXEC) >= 0;
    CHECK(pthread_mutex_unlock(&d->lock) == 0);
    (void)close(fd); /* the other descriptor holds it */
    if (!is_taken) {
        return ERR_NO_FILES;
    }
    enum err spare = prepare(d);
    (void)spare; /* without room an entry says so when it is written */
    return ERR_OK;
}

enum err key_deny_follow(struct key_deny *d, struct key_deny_place *place)
{
    struct stat ours, there;
    char line[LINE_BYTES];
    size_t got = 0;
    if (fstat(d->fd, &ours) != 0) {
        return ERR_DISK;
    }
    bool is_there = lstat(d->path, &there) == 0;
    if (!is_there && errno != ENOENT) {
        return ERR_FILE;
    }
    if (!is_there || there.st_ino != ours.st_ino || there.st_dev != ours.st_dev) {
        enum err e = take_other(d);
        if (e == ERR_OK) {
            *place = (struct key_deny_place){0};
        }
        return e;
    }
    if (place->line == 0) {
        return ERR_OK;
    }
    enum err e = read_at(d->fd, line, sizeof(line), (place->line - 1) * LINE_BYTES, &got);
    if (e == ERR_OK && (got < sizeof(line) || memcmp(line, place->last, sizeof(line)) != 0)) {
        *place = (struct key_deny_place){0};
    }
    return e;
}

static enum err add(struct key_deny *d, struct span id, wall_us when)
{
    struct search search = {.id = id};
    uint64_t end = 0;
    char line[LINE_BYTES];
    enum err e = find_end(d, &search, &end);
    if (e == ERR_OK && !search.is_there) {
        line_write(id, when, line);
        e = write_at(d->fd, line, sizeof(line), end++ * LINE_BYTES);
    }
    if (e == ERR_OK) {
        enum err spare = keep_spare(d->fd, end);
        (void)spare; /* this entry has its room; one that has none says so */
    }
    return e;
}

enum err key_deny_add(struct key_deny *d, struct span id, wall_us when)
{
    CHECK(is_id(id));
    CHECK(pthread_mutex_lock(&d->lock) == 0);
    enum err e = lock_file(d->fd);
    if (e == ERR_OK) {
        e = add(d, id, when);
        unlock_file(d->fd); /* the disk is waited for by all writers at once */
    }
    if (e == ERR_OK && fdatasync(d->fd) != 0) {
        e = disk_error();
    }
    CHECK(pthread_mutex_unlock(&d->lock) == 0);
    return e;
}
