/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h — what is wrong with the gateway now, and since when: one object for the process.
 *
 * Kinds of trouble are the rows of health.def. Whoever finds one sets it, whoever sees that it has
 * gone clears it; setting again what is set changes nothing but the sentence. The log (once when it
 * appears, once when it has gone), /metrics, /readyz and `atlas status` read the same entries.
 *
 * A *subject* tells troubles of one kind apart: the upstream's name, the certificate's file; NULL
 * where there can be only one.
 *
 * Ownership  texts are copied.
 * Limits     a subject of HEALTH_SUBJECT_BYTES and a sentence of HEALTH_SENTENCE_BYTES are cut;
 *            HEALTH_SUBJECTS_MAX troubles with a subject are held at a time, more are not seen.
 * Threads    any. health_refusal() and health_is_ready() are one atomic load: for every call. The
 *            others take a lock for as long as a copy takes: for changes, not for every call. One
 *            thread asks for changes.
 */
#ifndef BASE_HEALTH_H
#define BASE_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

enum health {
#define HEALTH(name, word, level, ready, refusal, help) HEALTH_##name,
#include "base/health.def"
#undef HEALTH
    HEALTH_COUNT
};

struct health_row {
    const char *word; /* such as "disk_full" */
    const char *help;
    enum log_level level;
    enum err refusal; /* what calls are refused with; ERR_OK: none is */
    bool ready;       /* whether /readyz stays 200 */
};

#define HEALTH_SUBJECT_BYTES  96
#define HEALTH_SENTENCE_BYTES 320
#define HEALTH_SUBJECTS_MAX   64
#define HEALTH_ENTRIES_MAX    (HEALTH_COUNT + HEALTH_SUBJECTS_MAX)
#define HEALTH_CALM_MS        2000 /* gone for so long before that is told: it may flicker */

struct health_entry {
    enum health kind;
    char subject[HEALTH_SUBJECT_BYTES]; /* empty: none */
    char sentence[HEALTH_SENTENCE_BYTES];
    wall_us since;
};

struct health_change {
    struct health_entry entry;
    bool is_over;
    int64_t lasted_us; /* with is_over */
};

const struct health_row *health_row(enum health kind);

/* Says that there is trouble of this kind, in a sentence for the operator. */
void health_set(enum health kind, const char *subject, const char *format, ...) PRINTF_LIKE(3, 4);

/* Says that it has gone. Does nothing where there is none. */
void health_clear(enum health kind, const char *subject);

/* What new calls are refused with now, or ERR_OK. */
enum err health_refusal(void);

/* Whether /readyz may say so, as far as troubles go. */
bool health_is_ready(void);

/* How many troubles of this kind there are now. */
size_t health_count(enum health kind);

/* Copies the troubles that there are now, in the order of the table, and returns how many. */
size_t health_read(struct health_entry out[HEALTH_ENTRIES_MAX]);

/* The next change that was not told yet: each trouble once when it appears, and once when it has
 * been gone for HEALTH_CALM_MS. False: none. */
MUST_USE bool health_next_change(mono_us now, struct health_change *out);

#endif
