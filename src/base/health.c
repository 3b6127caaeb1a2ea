/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry's life:
 *
 *   free ── set ──→ set, untold ── told ──→ set, told ── clear ──→ gone ── calm, told ──→ free
 *                        └── clear ──→ gone, untold ── told ──────────↑ └── set ──→ set, told
 *
 * so one that comes and goes between two looks is told too, and one that flickers is told once.
 */
#include "base/health.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct trouble {
    struct health_entry entry;
    mono_us begun, gone;
    bool is_held, is_set, is_told;
};

static const struct health_row rows[HEALTH_COUNT] = {
#define HEALTH(name, word, level, ready, refusal, help) \
    [HEALTH_##name] = {word, help, level, refusal, ready},
#include "base/health.def"
#undef HEALTH
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for `troubles` */
static struct trouble troubles[HEALTH_ENTRIES_MAX];      /* of no subject: at its kind's number */
static _Atomic size_t counts[HEALTH_COUNT];
static _Atomic uint32_t refusal; /* enum err */
static _Atomic bool unready;

const struct health_row *health_row(enum health kind)
{
    CHECK(kind < HEALTH_COUNT);
    return &rows[kind];
}

static void enter(void)
{
    CHECK(pthread_mutex_lock(&lock) == 0);
}

static void leave(void)
{
    CHECK(pthread_mutex_unlock(&lock) == 0);
}

/* As it stands in an entry. */
static void cut_subject(const char *subject, char out[HEALTH_SUBJECT_BYTES])
{
    (void)snprintf(out, HEALTH_SUBJECT_BYTES, "%s", subject == NULL ? "" : subject);
}

/* The entry of this trouble; else a free one; NULL if there is none. */
static struct trouble *find(enum health kind, const char *subject)
{
    struct trouble *free_one = NULL;
    if (subject[0] == '\0') {
        return &troubles[kind];
    }
    for (size_t i = HEALTH_COUNT; i < HEALTH_ENTRIES_MAX; i++) {
        struct trouble *t = &troubles[i];
        if (t->is_held && t->entry.kind == kind && strcmp(t->entry.subject, subject) == 0) {
            return t;
        }
        free_one = t->is_held || free_one != NULL ? free_one : t;
    }
    return free_one;
}

/* Sums up what is asked without the lock. */
static void publish(void)
{
    size_t now[HEALTH_COUNT] = {0};
    enum err refuse = ERR_OK;
    bool ready = true;
    for (size_t i = 0; i < HEALTH_ENTRIES_MAX; i++) {
        const struct trouble *t = &troubles[i];
        if (t->is_set) {
            const struct health_row *row = &rows[t->entry.kind];
            now[t->entry.kind]++;
            refuse = refuse == ERR_OK ? row->refusal : refuse;
            ready &= row->ready;
        }
    }
    for (size_t k = 0; k < HEALTH_COUNT; k++) {
        atomic_store(&counts[k], now[k]);
    }
    atomic_store(&refusal, (uint32_t)refuse);
    atomic_store(&unready, !ready);
}

void health_set(enum health kind, const char *subject, const char *format, ...)
{
    CHECK(kind < HEALTH_COUNT);
    char sentence[HEALTH_SENTENCE_BYTES], name[HEALTH_SUBJECT_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, args); /* cut, as health.h says */
    va_end(args);
    cut_subject(subject, name);
    enter();
    struct trouble *t = find(kind, name);
    if (t != NULL) {
        if (!t->is_held) {
            *t = (struct trouble){.entry = {.kind = kind, .since = clock_wall()},
                                  .begun = clock_mono(),
                                  .is_held = true};
            memcpy(t->entry.subject, name, sizeof(name));
        }
        memcpy(t->entry.sentence, sentence, sizeof(sentence));
        if (!t->is_set) {
            t->is_set = true;
            publish();
        }
    }
    leave();
}

void health_clear(enum health kind, const char *subject)
{
    CHECK(kind < HEALTH_COUNT);
    char name[HEALTH_SUBJECT_BYTES];
    if (atomic_load_explicit(&counts[kind], memory_order_relaxed) == 0) {
        return;
    }
    cut_subject(subject, name);
    enter();
    struct trouble *t = find(kind, name);
    if (t != NULL && t->is_set) {
        t->is_set = false;
        t->gone = clock_mono();
        publish();
    }
    leave();
}

enum err health_refusal(void)
{
    return (enum err)atomic_load_explicit(&refusal, memory_order_relaxed);
}

bool health_is_ready(void)
{
    return !atomic_load_explicit(&unready, memory_order_relaxed);
}

size_t health_count(enum health kind)
{
    CHECK(kind < HEALTH_COUNT);
    return atomic_load_explicit(&counts[kind], memory_order_relaxed);
}

size_t health_read(struct health_entry out[HEALTH_ENTRIES_MAX])
{
    size_t count = 0;
    enter();
    for (size_t k = 0; k < HEALTH_COUNT; k++) {
        for (size_t i = 0; i < HEALTH_ENTRIES_MAX; i++) {
            if (troubles[i].is_set && troubles[i].entry.kind == (enum health)k) {
                out[count++] = troubles[i].entry;
            }
        }
    }
    leave();
    return count;
}

/* Whether there is something to tell of `t`; then it is told. */
static bool tell(struct trouble *t, mono_us now, struct health_change *out)
{
    bool is_over = t->is_told && !t->is_set;
    if (!t->is_held || (t->is_told && t->is_set) ||
        (is_over && clock_since(t->gone, now) < (int64_t)HEALTH_CALM_MS * 1000)) {
        return false;
    }
    *out = (struct health_change){t->entry, is_over, is_over ? clock_since(t->begun, t->gone) : 0};
    t->is_told = true;
    t->is_held = !is_over;
    return true;
}

bool health_next_change(mono_us now, struct health_change *out)
{
    bool found = false;
    enter();
    for (size_t i = 0; !found && i < HEALTH_ENTRIES_MAX; i++) {
        found = tell(&troubles[i], now, out);
    }
    leave();
    return found;
}
