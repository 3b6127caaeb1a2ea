/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_record.h — what is written down of one call: a struct in memory, one line of JSON on
 * disk.
 *
 * An *intent* says that an attempt is about to be sent upstream: each attempt has its own. A
 * *completion* says how a call ended, once a call, and how many attempts were sent. A *recovery*
 * says what the journal cut off when it was opened. No record ever holds a prompt, a reply, a key
 * or a secret.
 *
 * The line is strict JCS: members sorted, ASCII names, no space, integers within ±(2^53 - 1). All
 * members of a kind are always there; "" and 0 stand for "not known".
 *
 * Ownership  none: the struct holds its bytes, so that it can lie in memory shared with a file.
 * Limits     texts are cut to the arrays below, on a character's boundary, when they are set; a
 *            line has at most JOURNAL_LINE_MAX bytes.
 * Threads    any; a codec.
 * Sources    docs/formats/journal.md; RFC 8785 (JCS); RFC 8259; RFC 3629 (UTF-8).
 */
#ifndef JOURNAL_JOURNAL_RECORD_H
#define JOURNAL_JOURNAL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define JOURNAL_SCHEMA     1  /* of the line's members */
#define JOURNAL_ID_BYTES   16 /* crypto/call_id.h */
#define JOURNAL_LINE_MAX   4608
#define JOURNAL_NUMBER_MAX 9007199254740991 /* 2^53 - 1 */

enum journal_kind { JOURNAL_INTENT = 1, JOURNAL_COMPLETION, JOURNAL_RECOVERY, JOURNAL_KIND_COUNT };

enum journal_outcome {
    JOURNAL_OUTCOME_NONE, /* an intent's and a recovery's */
    JOURNAL_OUTCOME_OK,
    JOURNAL_OUTCOME_FAILED,      /* the upstream or the gateway failed; `error` says how */
    JOURNAL_OUTCOME_CLIENT_GONE, /* the client went away before the end */
    JOURNAL_OUTCOME_INTERRUPTED, /* the process or the machine died during the call */
    JOURNAL_OUTCOME_REFUSED,     /* no attempt was begun */
    JOURNAL_OUTCOME_COUNT
};

/*
 * One record. Times are milliseconds since 1970 (UTC), 0 where it has not happened. Numbers are
 * never negative. Texts end in a NUL; set them with journal_set_text().
 */
struct journal_record {
    int64_t sequence; /* its place in the journal, from 1; set by the journal */
    uint8_t call_id[JOURNAL_ID_BYTES];

    int64_t started_ms;    /* the call's head was read; a recovery's: when it was made */
    int64_t attempt_ms;    /* the attempt began */
    int64_t first_byte_ms; /* the upstream's first byte came */
    int64_t ended_ms;      /* the call was settled */

    int64_t tokens_in, tokens_out;
    int64_t tokens_cached;   /* of tokens_in, those the upstream had cached */
    int64_t tokens_reserved; /* held while the call ran */
    int64_t bytes_in;        /* the client's request body */
    int64_t bytes_out;       /* the reply's body as sent to the client */
    int64_t cost_micro;      /* micro-units of the model's currency; an intent's: held */

    int64_t cut_segment; /* a recovery's: first sequence of the segment that was cut, */
    int64_t cut_offset;  /* where, */
    int64_t cut_bytes;   /* and how much */

    uint16_t status; /* HTTP status sent to the client; 0: none was */
    uint8_t kind;    /* enum journal_kind */
    uint8_t outcome; /* enum journal_outcome */
    uint8_t attempt; /* from 1; a completion's: the last one; 0: none was made */
    uint8_t stream;  /* 1: the client asked for a stream */
    uint8_t tokens_in_estimated, tokens_out_estimated; /* 1: counted by us, not by the upstream */
    uint8_t attempts_sent; /* of which some byte was sent; an interrupted call's: at most so many */

    char key_id[16];
    char endpoint[24];        /* "chat" */
    char model[128];          /* as the caller asked */
    char upstream[64];        /* name of the upstream's settings */
    char upstream_model[128]; /* as it was sent */
    char region[24];          /* the upstream's */
    char zone[32];            /* the upstream's */
    char home_region[24];     /* the gateway's */
    char peer[48];            /* numeric address that the attempt was sent to */
    char error[32];           /* err_name() of what went wrong, or "" */
    char policy[32];          /* X-Route-Policy */
};

_Static_assert(sizeof(struct journal_record) <= 728,
               "a record and its head are a slot of 768 bytes");

/* Sets the text field `field`: cuts `text` to fit, writes '?' for bytes that are not UTF-8. */
#define journal_set_text(field, text) journal_copy_text(text, field, sizeof(field))

/* What journal_set_text() calls. `size` counts the NUL. */
void journal_copy_text(struct span text, char *out, size_t size);

/* Whether every field is in its range and every text ends and is UTF-8: for one that was found in
 * a file that another process left. */
MUST_USE bool journal_record_is_valid(const struct journal_record *r);

/* Appends `r`, which is valid, as one line of JSON without a line feed. Sticky, as `out` is, which
 * must have room for JOURNAL_LINE_MAX bytes. */
void journal_record_write(const struct journal_record *r, struct buf *out);

/*
 * Reads what journal_record_write() wrote, and nothing else.
 *
 *   ERR_VALUE_INVALID  not such a line, or of another schema
 */
MUST_USE enum err journal_record_parse(struct span line, struct journal_record *out);

/* "intent", "completion", "recovery". */
const char *journal_kind_name(enum journal_kind kind);

/* "ok", "failed", "client_gone", "interrupted", "refused"; "" for none. */
const char *journal_outcome_name(enum journal_outcome outcome);

#endif
