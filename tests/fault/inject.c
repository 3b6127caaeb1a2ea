/* SPDX-License-Identifier: Apache-2.0 */
/* Each function here stands before the one of its name in the C library, SQLite or libuv. */
#include "inject.h"

#include <ares.h>
#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <uv.h>

#include "base/span.h"

#define FRAMES 24

static _Atomic int armed; /* enum inject_kind */
static _Atomic long count, hits, blocks;
static long at_count;
static bool goes_on;
static _Thread_local bool exempt, keeps;
static void *frames[FRAMES];
static _Atomic int frame_count;

void __sanitizer_symbolize_pc(void *at, const char *format, char *out, size_t size);

const char *inject_name(enum inject_kind kind)
{
    static const char *const names[INJECT_KINDS] = {
        "nothing", "malloc", "read", "write", "short", "connect", "sync", "space", "sql", "system"};
    return names[kind];
}

bool inject_exempt(bool is_test)
{
    bool was = exempt;
    exempt = is_test;
    return was;
}

void inject_arm(enum inject_kind kind, long at, bool on)
{
    atomic_store(&count, 0);
    atomic_store(&hits, 0);
    atomic_store(&frame_count, 0);
    at_count = at;
    goes_on = on;
    atomic_store(&armed, (int)kind);
}

long inject_disarm(void)
{
    atomic_store(&armed, INJECT_NOTHING);
    return atomic_load(&hits);
}

long inject_count(void)
{
    return atomic_load(&count);
}

long inject_hits(void)
{
    return atomic_load(&hits);
}

long inject_blocks(void)
{
    return atomic_load(&blocks);
}

void inject_say(void)
{
    (void)fprintf(stderr, "injected: %s %ld%s, %ld hits; the first one from:\n",
                  inject_name((enum inject_kind)atomic_load(&armed)), at_count,
                  goes_on ? " and on" : "", atomic_load(&hits));
    (void)fflush(stderr);
    for (int i = 2; i < atomic_load(&frame_count); i++) {
        char text[512] = "";
        __sanitizer_symbolize_pc(frames[i], "    %f  %s:%l", text, sizeof(text));
        if (strstr(text, "/src/") != NULL || strstr(text, "/tests/") != NULL) {
            (void)fprintf(stderr, "%s\n", text);
        }
    }
}

/* Whether this call is the one. */
static bool is_hit(enum inject_kind kind)
{
    if (exempt || atomic_load_explicit(&armed, memory_order_relaxed) != (int)kind) {
        return false;
    }
    long n = atomic_fetch_add(&count, 1) + 1;
    if (n != at_count && !(goes_on && n > at_count)) {
        return false;
    }
    if (atomic_fetch_add(&hits, 1) == 0) {
        exempt = true; /* backtrace() allocates the first time */
        atomic_store(&frame_count, backtrace(frames, FRAMES));
        exempt = false;
    }
    return true;
}

/* The prototypes of the function that the gateway reaches and of the one that it wants. */
#define WRAP(result, name, ...)        \
    result __real_##name(__VA_ARGS__); \
    result __wrap_##name(__VA_ARGS__); \
    result __wrap_##name(__VA_ARGS__)

#define FAIL(kind, number, result) \
    do {                           \
        if (is_hit(kind)) {        \
            errno = (number);      \
            return (result);       \
        }                          \
    } while (0)

/* ---- memory ---- */

static void *counted(void *block)
{
    if (block != NULL && !keeps) {
        (void)atomic_fetch_add(&blocks, 1);
    }
    return block;
}

WRAP(void *, malloc, size_t size)
{
    FAIL(INJECT_MALLOC, ENOMEM, NULL);
    return counted(__real_malloc(size));
}

WRAP(void *, calloc, size_t number, size_t size)
{
    FAIL(INJECT_MALLOC, ENOMEM, NULL);
    return counted(__real_calloc(number, size));
}

WRAP(void *, realloc, void *old, size_t size)
{
    FAIL(INJECT_MALLOC, ENOMEM, NULL);
    return old == NULL ? counted(__real_realloc(old, size)) : __real_realloc(old, size);
}

WRAP(char *, realpath, const char *path, char *out)
{
    FAIL(INJECT_SYSTEM, EIO, NULL);
    return out == NULL ? counted(__real_realpath(path, out)) : __real_realpath(path, out);
}

WRAP(void, free, void *old)
{
    if (old != NULL) {
        (void)atomic_fetch_sub(&blocks, 1);
    }
    __real_free(old);
}

/* What a thread counts in stays for ever. */
WRAP(void, counter_thread_start, void)
{
    keeps = true;
    __real_counter_thread_start();
    keeps = false;
}

WRAP(void, call_series_thread_start, void)
{
    keeps = true;
    __real_call_series_thread_start();
    keeps = false;
}

/* So does the name of a series. */
WRAP(uint32_t, call_series_find, struct span model, const char *upstream)
{
    keeps = true;
    uint32_t found = __real_call_series_find(model, upstream);
    keeps = false;
    return found;
}

/* ---- bytes in and out ---- */

WRAP(ssize_t, recv, int fd, void *to, size_t size, int flags)
{
    FAIL(INJECT_READ, ECONNRESET, -1);
    return __real_recv(fd, to, is_hit(INJECT_SHORT) ? 1 : size, flags);
}

/* What the kernel makes up it gives whole. */
static bool is_kernels(int fd)
{
    struct statfs on;
    return fstatfs(fd, &on) == 0 && on.f_type == PROC_SUPER_MAGIC;
}

WRAP(ssize_t, read, int fd, void *to, size_t size)
{
    FAIL(INJECT_READ, EIO, -1);
    return __real_read(fd, to, is_hit(INJECT_SHORT) && !is_kernels(fd) ? 1 : size);
}

WRAP(ssize_t, pread64, int fd, void *to, size_t size, off_t at)
{
    FAIL(INJECT_READ, EIO, -1);
    return __real_pread64(fd, to, is_hit(INJECT_SHORT) ? 1 : size, at);
}

WRAP(ssize_t, sendmsg, int fd, const struct msghdr *message, int flags)
{
    FAIL(INJECT_WRITE, EPIPE, -1);
    if (is_hit(INJECT_SHORT)) {
        struct iovec one = {message->msg_iov[0].iov_base, 1};
        struct msghdr less = {.msg_iov = &one, .msg_iovlen = 1};
        return message->msg_iov[0].iov_len == 0 ? __real_sendmsg(fd, message, flags)
                                                : __real_sendmsg(fd, &less, flags);
    }
    return __real_sendmsg(fd, message, flags);
}

WRAP(ssize_t, send, int fd, const void *from, size_t size, int flags)
{
    FAIL(INJECT_WRITE, EPIPE, -1);
    return __real_send(fd, from, is_hit(INJECT_SHORT) ? 1 : size, flags);
}

WRAP(ssize_t, write, int fd, const void *from, size_t size)
{
    FAIL(INJECT_WRITE, EIO, -1);
    FAIL(INJECT_SPACE, ENOSPC, -1);
    return __real_write(fd, from, is_hit(INJECT_SHORT) ? 1 : size);
}

WRAP(ssize_t, pwrite64, int fd, const void *from, size_t size, off_t at)
{
    FAIL(INJECT_WRITE, EIO, -1);
    FAIL(INJECT_SPACE, ENOSPC, -1);
    return __real_pwrite64(fd, from, is_hit(INJECT_SHORT) ? 1 : size, at);
}

WRAP(int, fallocate64, int fd, int mode, off_t offset, off_t len)
{
    FAIL(INJECT_SPACE, ENOSPC, -1);
    return __real_fallocate64(fd, mode, offset, len);
}

WRAP(int, posix_fallocate64, int fd, off_t offset, off_t len)
{
    return is_hit(INJECT_SPACE) ? ENOSPC : __real_posix_fallocate64(fd, offset, len);
}

WRAP(int, fsync, int fd)
{
    FAIL(INJECT_SYNC, EIO, -1);
    return __real_fsync(fd);
}

WRAP(int, fdatasync, int fd)
{
    FAIL(INJECT_SYNC, EIO, -1);
    return __real_fdatasync(fd);
}

WRAP(int, connect, int fd, const struct sockaddr *to, socklen_t len)
{
    FAIL(INJECT_CONNECT, ECONNREFUSED, -1);
    return __real_connect(fd, to, len);
}

/* ---- SQLite ---- */

WRAP(int, sqlite3_step, sqlite3_stmt *statement)
{
    return is_hit(INJECT_SQL) ? SQLITE_IOERR : __real_sqlite3_step(statement);
}

WRAP(int, sqlite3_exec, sqlite3 *db, const char *sql, sqlite3_callback on_row, void *ctx,
     char **why)
{
    return is_hit(INJECT_SQL) ? SQLITE_IOERR : __real_sqlite3_exec(db, sql, on_row, ctx, why);
}

WRAP(int, sqlite3_prepare_v2, sqlite3 *db, const char *sql, int len, sqlite3_stmt **out,
     const char **tail)
{
    return is_hit(INJECT_SQL) ? SQLITE_NOMEM : __real_sqlite3_prepare_v2(db, sql, len, out, tail);
}

WRAP(int, sqlite3_prepare_v3, sqlite3 *db, const char *sql, int len, unsigned flags,
     sqlite3_stmt **out, const char **tail)
{
    return is_hit(INJECT_SQL) ? SQLITE_NOMEM
                              : __real_sqlite3_prepare_v3(db, sql, len, flags, out, tail);
}

WRAP(int, sqlite3_open_v2, const char *path, sqlite3 **out, int flags, const char *vfs)
{
    if (is_hit(INJECT_SQL)) {
        *out = NULL;
        return SQLITE_CANTOPEN;
    }
    return __real_sqlite3_open_v2(path, out, flags, vfs);
}

/* ---- files ---- */

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    FAIL(INJECT_SYSTEM, EMFILE, -1);
    return __real_open64(path, flags, mode);
}

int __real_openat64(int folder, const char *path, int flags, ...);
int __wrap_openat64(int folder, const char *path, int flags, ...);
int __wrap_openat64(int folder, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    FAIL(INJECT_SYSTEM, EMFILE, -1);
    return __real_openat64(folder, path, flags, mode);
}

WRAP(FILE *, fopen64, const char *path, const char *mode)
{
    FAIL(INJECT_SYSTEM, EMFILE, NULL);
    return __real_fopen64(path, mode);
}

WRAP(DIR *, fdopendir, int fd)
{
    FAIL(INJECT_SYSTEM, ENOMEM, NULL);
    return __real_fdopendir(fd);
}

WRAP(DIR *, opendir, const char *path)
{
    FAIL(INJECT_SYSTEM, EMFILE, NULL);
    return __real_opendir(path);
}

WRAP(int, mkdir, const char *path, mode_t mode)
{
    FAIL(INJECT_SYSTEM, EIO, -1);
    return __real_mkdir(path, mode);
}

WRAP(int, unlinkat, int folder, const char *path, int flags)
{
    FAIL(INJECT_SYSTEM, EIO, -1);
    return __real_unlinkat(folder, path, flags);
}

WRAP(int, renameat, int from_folder, const char *from, int to_folder, const char *to)
{
    FAIL(INJECT_SYSTEM, EIO, -1);
    return __real_renameat(from_folder, from, to_folder, to);
}

WRAP(int, fstat64, int fd, struct stat *out)
{
    FAIL(INJECT_SYSTEM, EIO, -1);
    return __real_fstat64(fd, out);
}

WRAP(int, ftruncate64, int fd, off_t size)
{
    FAIL(INJECT_SYSTEM, EIO, -1);
    return __real_ftruncate64(fd, size);
}

WRAP(int, flock, int fd, int operation)
{
    FAIL(INJECT_SYSTEM, EWOULDBLOCK, -1);
    return __real_flock(fd, operation);
}

WRAP(void *, mmap64, void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    FAIL(INJECT_SYSTEM, ENOMEM, MAP_FAILED);
    return __real_mmap64(at, size, protection, flags, fd, offset);
}

/* ---- sockets, threads, handles ---- */

WRAP(int, socket, int family, int type, int protocol)
{
    FAIL(INJECT_SYSTEM, EMFILE, -1);
    return __real_socket(family, type, protocol);
}

WRAP(int, accept4, int fd, struct sockaddr *peer, socklen_t *len, int flags)
{
    if (!goes_on) { /* for ever would be to wait for ever */
        FAIL(INJECT_SYSTEM, EMFILE, -1);
    }
    return __real_accept4(fd, peer, len, flags);
}

WRAP(int, bind, int fd, const struct sockaddr *to, socklen_t len)
{
    FAIL(INJECT_SYSTEM, EADDRINUSE, -1);
    return __real_bind(fd, to, len);
}

WRAP(int, listen, int fd, int backlog)
{
    FAIL(INJECT_SYSTEM, EADDRINUSE, -1);
    return __real_listen(fd, backlog);
}

WRAP(int, getpeername, int fd, struct sockaddr *peer, socklen_t *len)
{
    FAIL(INJECT_SYSTEM, ENOTCONN, -1);
    return __real_getpeername(fd, peer, len);
}

WRAP(int, pthread_create, pthread_t *out, const pthread_attr_t *how, void *(*run)(void *),
     void *arg)
{
    return is_hit(INJECT_SYSTEM) ? EAGAIN : __real_pthread_create(out, how, run, arg);
}

WRAP(int, uv_loop_init, uv_loop_t *loop)
{
    return is_hit(INJECT_SYSTEM) ? UV_EMFILE : __real_uv_loop_init(loop);
}

WRAP(int, uv_async_init, uv_loop_t *loop, uv_async_t *handle, uv_async_cb on_wake)
{
    return is_hit(INJECT_SYSTEM) ? UV_EMFILE : __real_uv_async_init(loop, handle, on_wake);
}

WRAP(int, uv_poll_init, uv_loop_t *loop, uv_poll_t *handle, int fd)
{
    return is_hit(INJECT_SYSTEM) ? UV_ENOMEM : __real_uv_poll_init(loop, handle, fd);
}

WRAP(int, uv_signal_init, uv_loop_t *loop, uv_signal_t *handle)
{
    return is_hit(INJECT_SYSTEM) ? UV_EMFILE : __real_uv_signal_init(loop, handle);
}

WRAP(int, uv_signal_start, uv_signal_t *handle, uv_signal_cb on_signal, int number)
{
    return is_hit(INJECT_SYSTEM) ? UV_EINVAL : __real_uv_signal_start(handle, on_signal, number);
}

WRAP(int, ares_init_options, ares_channel *channel, struct ares_options *options, int mask)
{
    return is_hit(INJECT_SYSTEM) ? ARES_ENOMEM : __real_ares_init_options(channel, options, mask);
}
