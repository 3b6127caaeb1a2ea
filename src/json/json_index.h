/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_index.h — where everything in a JSON text is, found in one strict pass.
 *
 * The index is a flat array of rows in the order of the text. It changes nothing and copies
 * nothing: a row says what a value is and which bytes it takes, so that one can route on it, scan
 * it and edit around it (json_edit.h) while the bytes stay as they came.
 *
 *   {"model":"m","n":[1,2]}
 *
 *   row   kind    depth  bytes            next
 *    0    OBJECT    0    the whole text    7
 *    1    KEY       1    "model"           2
 *    2    STRING    1    "m"               3
 *    3    KEY       1    "n"               4
 *    4    ARRAY     1    [1,2]             7
 *    5    NUMBER    2    1                 6
 *    6    NUMBER    2    2                 7
 *
 * Always true of an index that json_index_parse_borrow() filled:
 *   1. Row 0 is the text's one value; white space around it belongs to no row.
 *   2. `next` is the row behind all rows of this value: a scalar's is the row after it, a key's is
 *      its value. The last one's is `count`.
 *   3. The members of an object are a KEY row and the rows of its value, in turn.
 *   4. A container's rows have its depth plus one; those of an object's keys and values too.
 *   5. A string's or key's bytes include both quotes. All of the text is well-formed UTF-8.
 *
 * What is strict: RFC 8259 to the letter, no byte order mark, UTF-8 only. Escaped surrogates
 * without a partner (`"\ud800"`) are in its grammar and pass; json_value.h says what becomes of
 * them. Duplicate keys pass too: json_duplicates.h finds them in the objects that matter.
 *
 * Ownership  the rows belong to the index and are used again by the next parse; json_index_fini()
 *            frees them. The text is borrowed for as long as the index is read.
 * Limits     a text of 4 GiB − 1 bytes; rows and depth as given to json_index_init(). A row takes
 *            16 bytes, and a text of n bytes has at most n rows. No recursion.
 * Threads    one writer; a filled index may be read by many.
 * Sources    RFC 8259; RFC 3629.
 */
#ifndef JSON_JSON_INDEX_H
#define JSON_JSON_INDEX_H

#include "base/err.h"
#include "base/span.h"

#define JSON_NONE UINT32_MAX /* no such row */

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_KEY,
    JSON_ARRAY,
    JSON_OBJECT
};

enum json_flag {
    JSON_ESCAPED = 1,  /* a string or key with a backslash in it */
    JSON_FRACTION = 2, /* a number with a point or an exponent */
};

struct json_row {
    uint8_t kind;    /* enum json_kind */
    uint8_t flags;   /* of enum json_flag */
    uint16_t depth;  /* how many containers are around it */
    uint32_t offset; /* of its first byte in the text */
    uint32_t len;    /* bytes, quotes and brackets included */
    uint32_t next;   /* the row behind it and all that it holds */
};

/* A string or number that reaches beyond the end of a step. */
struct json_token {
    uint32_t at; /* where to go on; 0: there is none */
    uint8_t flags, part;
};

enum json_walk_phase { JSON_WALK_DONE, JSON_WALK_QUICK, JSON_WALK_UTF8, JSON_WALK_VALUES };

/* How far an index is filled. */
struct json_walk {
    enum json_walk_phase phase;
    uint8_t step; /* the walk's own */
    uint16_t depth;
    uint32_t at, count, open; /* in the text; rows; the innermost open container's */
    uint32_t end;             /* of the quick walk: without white space behind */
    struct json_token token;
};

struct json_index {
    struct span text;
    struct json_row *rows;
    uint32_t count, cap; /* rows filled; room */
    uint32_t max_rows;
    uint32_t uncounted; /* rows for which nothing of the allowance is taken */
    size_t taken;       /* of the allowance */
    uint16_t max_depth;
    struct json_walk walk;
    size_t error_at; /* after a failure: offset of the byte, number, word or escape at fault */
};

/* An empty index for texts of at most `max_rows` values and keys, and at most `max_depth`
 * containers inside one another. Takes no memory yet. */
void json_index_init(struct json_index *x, uint32_t max_rows, uint16_t max_depth);

/* The same; what rows beyond the first `uncounted` take is counted in the allowance of all calls
 * together (base/memory.h). */
void json_index_init_counted(struct json_index *x, uint32_t max_rows, uint16_t max_depth,
                             uint32_t uncounted);

/* Frees the rows; `x` is then as after json_index_init(). */
void json_index_fini(struct json_index *x);

/* Frees the rows if there is room for more than `rows`: keeps one huge text from holding memory
 * for ever. The index is empty afterwards in any case. */
void json_index_trim(struct json_index *x, uint32_t rows);

/* Moves what `x` has to `out`, which has nothing yet; `x` is then as after its init. */
void json_index_move(struct json_index *x, struct json_index *out);

/* Gives back the room that no row needs, and counts all that is left: what stays for longer than a
 * step. ERR_OVERLOADED: it is not there, and the index is as it was. */
MUST_USE enum err json_index_keep(struct json_index *x);

/*
 * Fills the index from `text`, forgetting what it held.
 *
 *   ERR_BODY_NOT_JSON   not JSON; `x->error_at` says where (text.len: it ends too early)
 *   ERR_JSON_TOO_DEEP   more than max_depth containers in one another; error_at: the bracket
 *   ERR_JSON_TOO_MANY   more than max_rows rows
 *   ERR_BODY_TOO_LARGE  4 GiB or more
 *   ERR_OVERLOADED      the allowance has no room for the rows
 *   ERR_NO_MEMORY
 *
 * After a failure the index is empty.
 */
MUST_USE enum err json_index_parse_borrow(struct json_index *x, struct span text);

/*
 * The same in steps, for a text that takes longer than one may: json_index_begin_borrow(), then
 * json_index_step() for about so many bytes each until json_index_is_done(); rows and errors are
 * the same, wherever the steps end. A step takes about 8 ns a byte at worst, which is when
 * rows are many and their memory is new: JSON_STEP_BYTES less than half a millisecond. Until it is
 * done the index is empty; it may be given up at any time.
 *
 *   errors as above; after one the index is done, and empty
 */
#define JSON_STEP_BYTES 32768

void json_index_begin_borrow(struct json_index *x, struct span text);
MUST_USE enum err json_index_step(struct json_index *x, size_t bytes);

static inline bool json_index_is_done(const struct json_index *x)
{
    return x->walk.phase == JSON_WALK_DONE;
}

/* The row numbered `row`, which must exist. */
static inline const struct json_row *json_row(const struct json_index *x, uint32_t row)
{
    CHECK(row < x->count);
    return &x->rows[row];
}

static inline enum json_kind json_kind(const struct json_index *x, uint32_t row)
{
    return (enum json_kind)json_row(x, row)->kind;
}

/* The bytes of a row as they stand in the text; a string's with its quotes. */
static inline struct span json_source(const struct json_index *x, uint32_t row)
{
    const struct json_row *r = json_row(x, row);
    return (struct span){x->text.at + r->offset, r->len};
}

/* Offset in the text of the byte behind a row. */
static inline uint32_t json_end(const struct json_index *x, uint32_t row)
{
    const struct json_row *r = json_row(x, row);
    return r->offset + r->len;
}

/* The value of a key. */
static inline uint32_t json_value(const struct json_index *x, uint32_t key)
{
    CHECK(json_row(x, key)->kind == JSON_KEY);
    return key + 1;
}

/* The first element of an array or the first key of an object; JSON_NONE if it has none, or if
 * `row` is no container. */
static inline uint32_t json_first(const struct json_index *x, uint32_t row)
{
    return json_row(x, row)->next == row + 1 || json_kind(x, row) == JSON_KEY ? JSON_NONE : row + 1;
}

/* The element after an element, or the key after a key; JSON_NONE behind the last. */
static inline uint32_t json_next(const struct json_index *x, uint32_t row)
{
    const struct json_row *r = json_row(x, row);
    uint32_t next = r->kind == JSON_KEY ? x->rows[row + 1].next : r->next;
    return next < x->count && x->rows[next].depth == r->depth ? next : JSON_NONE;
}

#endif
