/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_record.h — what is written down of one thing that happened: a struct in memory, one line
 * of JSON on disk.
 *
 * The kinds of records are the rows of journal_kinds.def, their members those of
 * journal_record.def: writer, parser, checks and docs/reference/journal.md come from them. No
 * record ever holds a prompt, a reply, a key or a secret.
 *
 * A record has a fixed head (times, tokens, money, outcome: plain stores, which may go into an
 * armed slot at any moment) and texts of any length in a room of JOURNAL_ROOM_BYTES. Setting a text
 * appends to the room and then points at it, so that a record is whole at every moment; setting
 * what is there already does nothing.
 *
 * What a configuration names is never cut: whoever reads one refuses names that pass
 * JOURNAL_NAMES_MAX together, so that 400 bytes are left for what calls bring. A name that a
 * caller made up is cut to JOURNAL_INVENTED_MAX bytes, and ends in "…" then.
 *
 * The line is strict JCS: members sorted, ASCII names, no space, integers within ±(2^53 - 1).
 *
 * Ownership  none: the struct holds its bytes, so that it can lie in memory shared with a file.
 *            Spans given out lie in the record.
 * Limits     a line has at most JOURNAL_LINE_MAX bytes.
 * Threads    any; a codec.
 * Sources    docs/formats/journal.md; RFC 8785 (JCS); RFC 8259; RFC 3629 (UTF-8); RFC 6962, 2.1.
 */
#ifndef JOURNAL_JOURNAL_RECORD_H
#define JOURNAL_JOURNAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define JOURNAL_SCHEMA       3  /* of the line's members */
#define JOURNAL_ID_BYTES     16 /* crypto/call_id.h */
#define JOURNAL_HASH_BYTES   32
#define JOURNAL_ORIGIN_CHARS 32
#define JOURNAL_ROOM_BYTES   1636 /* so that a slot takes 32 cache lines */
#define JOURNAL_NAMES_MAX    448  /* bytes of all configured names in a record together */
#define JOURNAL_INVENTED_MAX 128  /* bytes of a name that a caller made up */
#define JOURNAL_STATE_MAX    14336
#define JOURNAL_LINE_MAX     28672
#define JOURNAL_NUMBER_MAX   9007199254740991 /* 2^53 - 1 */

enum journal_kind {
    JOURNAL_NO_KIND,
#define KIND(name, word, help) JOURNAL_##name,
#include "journal/journal_kinds.def"
#undef KIND
    JOURNAL_KIND_COUNT
};

enum journal_outcome {
    JOURNAL_OUTCOME_NONE, /* of a kind that has none */
    JOURNAL_OUTCOME_OK,
    JOURNAL_OUTCOME_FAILED,      /* the upstream or the gateway failed; `error` says how */
    JOURNAL_OUTCOME_CLIENT_GONE, /* the client went away before the end */
    JOURNAL_OUTCOME_INTERRUPTED, /* the process or the machine died during the call */
    JOURNAL_OUTCOME_REFUSED,     /* no try was begun */
    JOURNAL_OUTCOME_LOST,        /* a try's: another one gave the answer */
    JOURNAL_OUTCOME_COUNT
};

/* The texts of a record: JOURNAL_TEXT_KEY, JOURNAL_TEXT_MODEL, … */
enum journal_text {
#define FIXED(member, field, type, kinds, help)
#define TEXT(member, NAME, type, kinds, help) JOURNAL_TEXT_##NAME,
#define STATE(member, kinds, help)
#include "journal/journal_record.def"
#undef FIXED
#undef TEXT
#undef STATE
    JOURNAL_TEXT_COUNT
};

/* Where a text lies in the room. */
struct journal_text_at {
    _Alignas(4) uint16_t at; /* both are stored at once */
    uint16_t len;
};

/*
 * One record. Times are milliseconds since 1970 (UTC), 0 where it has not happened. Numbers are
 * never negative. Money is in billionths of the record's currency (base/money.h).
 */
struct journal_record {
    int64_t sequence;                 /* its place in the journal, from 1; set by the journal */
    uint8_t prev[JOURNAL_HASH_BYTES]; /* leaf hash of the record before; set by the journal */
    uint8_t call_id[JOURNAL_ID_BYTES];

    int64_t started_ms;    /* the call's head was read; of other kinds: when it was made */
    int64_t attempt_ms;    /* the try began */
    int64_t first_byte_ms; /* the upstream's first byte came */
    int64_t ended_ms;      /* the try ended, the call was settled */

    int64_t tokens_in, tokens_out;
    int64_t tokens_cached;    /* of tokens_in, those the upstream had cached */
    int64_t tokens_reasoning; /* of tokens_out */
    int64_t tokens_reserved;  /* held while the call ran */
    int64_t bytes_in;         /* the client's request body */
    int64_t bytes_out;        /* the reply's body as given to the client's connection */
    int64_t cost_nano;        /* of what was used */
    int64_t reserved_nano;    /* of what is held */
    int64_t energy_nano;      /* billionths of a Wh that the tokens took; */
    int64_t co2e_nano;        /* and of a gram of CO2e */
    int64_t server_us;        /* at the model server, where that costs something */

    int64_t cut_segment; /* a recovery's: first sequence of the segment that was cut, */
    int64_t cut_offset;  /* where, */
    int64_t cut_bytes;   /* and how much */

    uint16_t status; /* HTTP status sent to the client, a try's: by the upstream; 0: none was */
    uint8_t kind;    /* enum journal_kind */
    uint8_t outcome; /* enum journal_outcome */
    uint8_t attempt; /* from 1; a completion's: the last one; 0: none was made */
    uint8_t stream;  /* 1: the client asked for a stream */
    uint8_t tokens_in_estimated, tokens_out_estimated; /* 1: counted by us, not by the upstream */
    uint8_t attempts_sent; /* of which some byte was sent; an interrupted call's: at most so many */
    uint8_t sent;          /* a try's: 1 if some byte of it was sent */
    uint8_t bounded;       /* 1: one of the numbers could not be (journal_record_bound()) */
    uint8_t shadow;        /* 1: of a shadow copy, which is in no sum */
    uint32_t state_bytes;  /* an admin record's: of the JSON beside it (journal_slot_state()) */

    uint32_t used; /* of the room */
    struct journal_text_at text[JOURNAL_TEXT_COUNT];
    char room[JOURNAL_ROOM_BYTES];
};

_Static_assert(offsetof(struct journal_record, used) % 8 == 0, "the head is stored by words");

/*
 * Sets a text: '?' stands for bytes that are not UTF-8. What the room does not hold is cut, on a
 * character's boundary, and ends in "…"; a digest has JOURNAL_HASH_BYTES bytes, or none.
 */
void journal_record_set(struct journal_record *r, enum journal_text which, struct span text);

/* The same for a name that a caller made up: cut at JOURNAL_INVENTED_MAX bytes. */
void journal_record_set_invented(struct journal_record *r, enum journal_text which,
                                 struct span text);

/* The text as set; empty where it is not. */
static inline struct span journal_record_text(const struct journal_record *r,
                                              enum journal_text which)
{
    return span_make(r->room + r->text[which].at, r->text[which].len);
}

/* Makes `to` the same record as `from`: what is used of it is copied. `to` must not be armed. */
void journal_record_copy(struct journal_record *to, const struct journal_record *from);

/* Makes an armed record say what `from` does, and is whole at every moment of it, should the
 * process die: texts that differ are appended, then the head is stored. Its `prev` and `sequence`
 * stay. */
void journal_record_update(struct journal_record *armed, const struct journal_record *from);

/* Makes each of its numbers one that a line can hold: one below 0 is 0, one beyond the largest is
 * that; `bounded` then says that there was one. */
void journal_record_bound(struct journal_record *r);

/* Whether every field is in its range and every text lies in the room and is UTF-8: for one that
 * was found in a file that another process left. `state`: its JSON, or empty. */
MUST_USE bool journal_record_is_valid(const struct journal_record *r, struct span state);

/* Appends `r`, which is valid, as one line of JSON without a line feed. Sticky, as `out` is, which
 * must have room for JOURNAL_LINE_MAX bytes. `state`: an admin record's JSON. */
void journal_record_write(const struct journal_record *r, struct span state, struct buf *out);

/*
 * Reads what journal_record_write() wrote, and nothing else. `state` (or NULL) is an admin record's
 * JSON, in `line`.
 *
 *   ERR_VALUE_INVALID  not such a line, or of another schema
 */
MUST_USE enum err journal_record_parse(struct span line, struct journal_record *out,
                                       struct span *state);

/* RFC 6962's leaf hash of a record's line: what the next one has as `prev`. */
void journal_leaf(struct span line, uint8_t out[JOURNAL_HASH_BYTES]);

/* Whether `state` is one JSON object as strict JCS has it, four deep at most, of at most
 * JOURNAL_STATE_MAX bytes: what an admin record may hold. */
MUST_USE bool journal_state_is_valid(struct span state);

/* "intent", "completion", … */
const char *journal_kind_name(enum journal_kind kind);

/* "ok", "failed", "client_gone", "interrupted", "refused", "lost"; "" for none. */
const char *journal_outcome_name(enum journal_outcome outcome);

#endif
