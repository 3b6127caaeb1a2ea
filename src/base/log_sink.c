/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread:
 *
 *      ┌─→ write what the rings hold, reopen ──→ something was written: gather for a moment ─┐
 *      │        │ nothing to write                                                          │
 *      │        └──→ sleep until a put rings, or a reader makes room ─────────────────────→ ┤
 *      └────────────────────────────────────────────────────────────────────────────────────┘
 *
 * Who puts rings only while it sleeps, or gathers and a ring is half full.
 */
#include "base/log_sink.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_out.h"
#include "base/log_ring.h"
#include "base/memory.h"

#define HELD_BYTES  (64 * 1024)
#define SAY_LOST_MS 1000 /* between two lines about what was dropped */
#define JOIN_MS     500  /* beyond LOG_FLUSH_MS, for a disk that hangs */

_Static_assert(HELD_BYTES >= 2 * LOG_LINE_MAX, "a line fits behind what is held");

enum mood { BUSY, GATHERING, ASLEEP };

struct log_sink {
    struct log_sink_options options;
    char *path; /* NULL: a standard one */
    struct log_out out;
    struct log_ring ring;
    _Atomic bool reopen;
    _Atomic uint64_t dropped; /* lines that found no room */

    /* the thread's; without one, who holds `direct` */
    uint8_t *held; /* on its way out */
    size_t held_from, held_to;
    bool is_blocked;  /* the last write would have waited */
    bool is_cut;      /* the last byte that got out does not end a line */
    bool is_through;  /* the last write that did not wait was taken */
    uint64_t refused; /* lines that could not be written */
    uint64_t counted, said;
    mono_us said_at;
};

static struct {
    struct log_sink *sinks[LOG_SINKS_MAX];
    size_t count;
    pthread_t thread;
    sem_t ended;
    int wake; /* eventfd */
    _Atomic bool runs, stopping;
    _Atomic uint32_t mood;
} writer = {.wake = -1};

/* For writing without a thread; taken once more to say what was dropped. */
static pthread_mutex_t direct = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

/* ---- writing, by whoever may ---- */

static size_t lines_in(const uint8_t *at, size_t len)
{
    size_t lines = 0;
    for (size_t i = 0; i < len; i++) {
        lines += at[i] == '\n';
    }
    return lines;
}

/* What is written at once: to a reader whole lines, as long as they are short. */
static size_t piece(const struct log_sink *s)
{
    size_t len = s->held_to - s->held_from, most = LOG_OUT_PIECE;
    if (s->out.is_file || len <= most) {
        return len;
    }
    const uint8_t *at = s->held + s->held_from;
    const uint8_t *end = memrchr(at, '\n', most);
    return end == NULL ? most : (size_t)(end - at) + 1;
}

/* Nobody will take it: the disk is full, the reader gone. */
static void drop_held(struct log_sink *s)
{
    s->refused += lines_in(s->held + s->held_from, s->held_to - s->held_from);
    s->held_from = s->held_to = 0;
    s->is_through = false;
}

/* Writes what is held. True if any got out. */
static bool write_held(struct log_sink *s)
{
    bool any = false;
    s->is_blocked = false;
    while (s->held_from < s->held_to) {
        struct span bytes = span_make(s->held + s->held_from, piece(s));
        ssize_t n = log_out_write(&s->out, bytes);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            s->is_blocked = true;
            return any;
        }
        if (n <= 0) {
            drop_held(s);
            return any;
        }
        s->held_from += (size_t)n;
        s->is_cut = bytes.at[n - 1] != '\n';
        s->is_through = any = true;
    }
    s->held_from = s->held_to = 0;
    return any;
}

/* Adds a record to what is held, where there is room for the longest. */
static void hold(struct log_sink *s, struct span record)
{
    uint8_t *to = s->held + s->held_to;
    if (s->is_cut && s->held_from == s->held_to) { /* the rest of that line was dropped */
        *to++ = '\n';
        s->is_cut = false;
    }
    if (s->options.format != NULL) {
        to += s->options.format(record, (char *)to);
    } else {
        memcpy(to, record.at, record.len);
        to += record.len;
        *to++ = '\n';
    }
    s->held_to = (size_t)(to - s->held);
}

static void open_anew(struct log_sink *s)
{
    struct log_out next;
    if (s->path == NULL || !atomic_exchange(&s->reopen, false)) {
        return;
    }
    if (log_out_open(s->path, &next) != ERR_OK) {
        log_error(s->options.event,
                  "%s: %s cannot be opened anew: %s; lines go on to where they went",
                  s->options.name, s->path, strerrordesc_np(errno));
        return;
    }
    log_out_close(&s->out);
    s->out = next;
}

/* Whether a line of our own would get out: the operator's log is not behind. */
static bool may_say(void)
{
    bool may = true;
    for (size_t i = 0; i < writer.count; i++) {
        const struct log_sink *s = writer.sinks[i];
        may &= s->options.lost != COUNT_LOG_LOST ||
               (!s->is_blocked && s->is_through && !log_ring_is_half_full(&s->ring));
    }
    return may;
}

/* Whether lines were lost that nobody was told of, and lines get through again. */
static bool is_unsaid(const struct log_sink *s)
{
    return atomic_load(&s->dropped) + s->refused != s->said && !s->is_blocked && s->is_through;
}

/* Counts what was lost since the last time, and says it when it can be said. */
static void tell_lost(struct log_sink *s)
{
    uint64_t lost = atomic_load(&s->dropped) + s->refused;
    mono_us now = clock_mono();
    counter_add(s->options.lost, (int64_t)(lost - s->counted));
    s->counted = lost;
    if (!is_unsaid(s) || !may_say() || clock_since(s->said_at, now) < SAY_LOST_MS * 1000) {
        return;
    }
    uint64_t count = lost - s->said;
    s->said = lost;
    s->said_at = now;
    log_warn("log_lost", "%llu lines of %s were dropped: %s took none for a while",
             (unsigned long long)count, s->options.name,
             s->path != NULL ? s->path : "whoever reads it");
}

/* ---- the thread ---- */

/* Writes what the ring holds. True if any got out. */
static bool serve(struct log_sink *s)
{
    struct span record;
    bool any = write_held(s);
    while (!s->is_blocked && log_ring_peek(&s->ring, &record)) {
        do {
            hold(s, record);
            log_ring_next(&s->ring);
        } while (s->held_to + LOG_LINE_MAX + 1 <= HELD_BYTES && log_ring_peek(&s->ring, &record));
        any |= write_held(s);
    }
    open_anew(s);
    tell_lost(s);
    return any;
}

static bool is_idle(void)
{
    bool idle = !atomic_load(&writer.stopping);
    for (size_t i = 0; i < writer.count; i++) {
        const struct log_sink *s = writer.sinks[i];
        idle &= (s->is_blocked || log_ring_is_empty(&s->ring)) && !atomic_load(&s->reopen);
    }
    return idle;
}

/* Until there is something to do, or `most_ms`; -1: for ever. */
static void rest(enum mood mood, int most_ms)
{
    struct pollfd fds[LOG_SINKS_MAX + 1] = {{.fd = writer.wake, .events = POLLIN}};
    nfds_t count = 1;
    for (size_t i = 0; i < writer.count; i++) {
        if (writer.sinks[i]->is_blocked) {
            fds[count++] = (struct pollfd){.fd = writer.sinks[i]->out.fd, .events = POLLOUT};
        }
    }
    atomic_store(&writer.mood, mood);
    if (mood == GATHERING || is_idle()) {
        (void)poll(fds, count, most_ms); /* an interruption is a turn more */
    }
    atomic_store(&writer.mood, BUSY);
    eventfd_t rung;
    (void)eventfd_read(writer.wake, &rung); /* nothing there: nobody rang */
}

/* How long to sleep: something may be left to say, or to count. */
static int sleep_ms(void)
{
    bool for_ever = true;
    for (size_t i = 0; i < writer.count; i++) {
        for_ever &= !writer.sinks[i]->is_blocked && !is_unsaid(writer.sinks[i]);
    }
    return for_ever ? -1 : SAY_LOST_MS;
}

static bool is_empty(void)
{
    bool empty = true;
    for (size_t i = 0; i < writer.count; i++) {
        const struct log_sink *s = writer.sinks[i];
        empty &= log_ring_is_empty(&s->ring) && s->held_from == s->held_to;
    }
    return empty;
}

static void *run(void *unused)
{
    mono_us stopping_since = {0};
    (void)unused;
    (void)pthread_setname_np(pthread_self(), "atlas-log"); /* only a name */
    counter_thread_start();
    for (;;) {
        bool stopping = atomic_load(&writer.stopping); /* before: what was put by then is written */
        bool any = false;
        for (size_t i = 0; i < writer.count; i++) {
            any |= serve(writer.sinks[i]);
        }
        if (!stopping) {
            rest(any ? GATHERING : ASLEEP, any ? LOG_GATHER_MS : sleep_ms());
            continue;
        }
        mono_us now = clock_mono();
        stopping_since = stopping_since.us == 0 ? now : stopping_since;
        if (is_empty() || clock_since(stopping_since, now) >= LOG_FLUSH_MS * 1000) {
            CHECK(sem_post(&writer.ended) == 0);
            return NULL;
        }
        rest(GATHERING, LOG_GATHER_MS);
    }
}

static void ring_bell(void)
{
    if (atomic_exchange(&writer.mood, BUSY) != BUSY) {
        (void)eventfd_write(writer.wake, 1); /* full: it is rung already */
    }
}

enum err log_thread_start(void)
{
    CHECK(!atomic_load(&writer.runs));
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < writer.count; i++) {
        struct log_sink *s = writer.sinks[i];
        e = s->ring.at != NULL ? ERR_OK : log_ring_init(&s->ring, s->options.ring_bytes);
    }
    CHECK(sem_init(&writer.ended, 0, 0) == 0);
    writer.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    atomic_store(&writer.stopping, false);
    if (e != ERR_OK || writer.wake < 0 || pthread_create(&writer.thread, NULL, run, NULL) != 0) {
        if (writer.wake >= 0) {
            (void)close(writer.wake); /* nobody was told of it */
        }
        return ERR_NO_MEMORY;
    }
    atomic_store(&writer.runs, true);
    return ERR_OK;
}

void log_thread_stop(void)
{
    struct timespec until;
    if (!atomic_load(&writer.runs)) {
        return;
    }
    atomic_store(&writer.stopping, true);
    ring_bell();
    CHECK(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec += (LOG_FLUSH_MS + JOIN_MS) / 1000;
    until.tv_nsec += (long)((LOG_FLUSH_MS + JOIN_MS) % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    int waited;
    while ((waited = sem_clockwait(&writer.ended, CLOCK_MONOTONIC, &until)) != 0 &&
           errno == EINTR) {
    }
    if (waited != 0) {
        return; /* it hangs in a write to a disk: the process ends with it as it is */
    }
    CHECK(pthread_join(writer.thread, NULL) == 0);
    (void)sem_destroy(&writer.ended); /* nobody waits on it */
    atomic_store(&writer.runs, false);
    (void)close(writer.wake); /* an eventfd holds no data */
}

/* ---- sinks ---- */

static enum err open_sink(struct log_sink *s)
{
    const char *path = s->options.path;
    bool is_standard = path == NULL || strcmp(path, "-") == 0;
    s->held = memory_raw(HELD_BYTES);
    if (!is_standard) {
        s->path = memory_text(path);
    }
    if (s->held == NULL || (!is_standard && s->path == NULL)) {
        return ERR_NO_MEMORY;
    }
    if (!is_standard) {
        return log_out_open(path, &s->out);
    }
    log_out_standard(path == NULL ? STDERR_FILENO : STDOUT_FILENO, &s->out);
    return ERR_OK;
}

static void free_sink(struct log_sink *s)
{
    int reason = errno;
    log_out_close(&s->out);
    log_ring_fini(&s->ring);
    memory_free(s->held);
    memory_free(s->path);
    memory_free(s);
    errno = reason;
}

enum err log_sink_open(const struct log_sink_options *options, struct log_sink **out)
{
    CHECK(writer.count < LOG_SINKS_MAX && !atomic_load(&writer.runs));
    struct log_sink *s = memory_new(sizeof(*s));
    if (s == NULL) {
        return ERR_NO_MEMORY;
    }
    s->options = *options;
    s->out.fd = -1;
    enum err e = open_sink(s);
    s->options.path = NULL; /* the caller's */
    if (e != ERR_OK) {
        free_sink(s);
        return e;
    }
    writer.sinks[writer.count++] = s;
    *out = s;
    return ERR_OK;
}

/* Without a thread: writes it here and now, waiting a moment for a reader that took the last one.
 */
static void put_direct(struct log_sink *s, struct span record, struct span more)
{
    static uint8_t whole[LOG_LINE_MAX]; /* under the lock */
    CHECK(pthread_mutex_lock(&direct) == 0);
    bool was_blocked = s->is_blocked;
    (void)write_held(s); /* the rest of the last one */
    if (s->held_from == s->held_to) {
        memcpy(whole, record.at, record.len);
        if (more.len > 0) {
            memcpy(whole + record.len, more.at, more.len);
        }
        hold(s, span_make(whole, record.len + more.len));
        (void)write_held(s);
        struct pollfd fd = {.fd = s->out.fd, .events = POLLOUT};
        if (s->is_blocked && !was_blocked && poll(&fd, 1, LOG_DIRECT_MS) > 0) {
            (void)write_held(s);
        }
    } else {
        (void)atomic_fetch_add(&s->dropped, 1); /* the old count is of no use */
    }
    tell_lost(s);
    CHECK(pthread_mutex_unlock(&direct) == 0);
}

void log_sink_put(struct log_sink *s, struct span record, struct span more)
{
    CHECK(record.len > 0 && record.len + more.len < LOG_LINE_MAX);
    if (!atomic_load_explicit(&writer.runs, memory_order_acquire)) {
        put_direct(s, record, more);
        return;
    }
    if (!log_ring_put(&s->ring, record, more)) {
        (void)atomic_fetch_add(&s->dropped, 1); /* the old count is of no use */
        return;                                 /* the thread knows that there is much to do */
    }
    uint32_t mood = atomic_load(&writer.mood);
    if (mood == ASLEEP || (mood == GATHERING && log_ring_is_half_full(&s->ring))) {
        ring_bell();
    }
}

void log_sink_reopen(struct log_sink *s)
{
    atomic_store(&s->reopen, true);
    if (atomic_load(&writer.runs)) {
        ring_bell();
    } else {
        open_anew(s);
    }
}

void log_sink_close(struct log_sink **sink)
{
    struct log_sink *s = *sink;
    if (s == NULL) {
        return;
    }
    *sink = NULL;
    if (atomic_load(&writer.runs)) {
        return; /* the thread hangs in it */
    }
    size_t at = 0;
    while (writer.sinks[at] != s) {
        at++;
    }
    writer.sinks[at] = writer.sinks[--writer.count];
    free_sink(s);
}
