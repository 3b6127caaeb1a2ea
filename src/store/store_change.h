/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_change.h — changes that an administrator makes: written down in the journal first, then in
 * the rows.
 *
 * A change says what is done to which object, by whom, and all that the object is from then on: its
 * row as JSON. Where a gateway runs, store_change() hands it to the *recorder*, which makes a
 * journal record of it; the row follows when that record is applied (store_change_apply()), in its
 * place among all others. So a database that was restored from a backup gets every change since
 * from the journal, and none twice. A store that cannot be written just now lags behind its
 * records; store_change_get() and store_change_page() read what was changed last all the same.
 *
 * A command that works on the store while no gateway runs has no recorder. Its change is put into
 * the row at once and noted in the table `unrecorded`, in one batch; the next gateway makes the
 * record (store_change_record_rest()), and applying that takes the note away.
 *
 * Ownership  as the store's. The recorder is borrowed until the store is closed.
 * Limits     STORE_STATE_MAX bytes of JSON; tables whose key is one text, the object's id.
 * Threads    as the store's.
 * Sources    docs/formats/journal.md, admin records; docs/decisions/0082.
 */
#ifndef STORE_STORE_CHANGE_H
#define STORE_STORE_CHANGE_H

#include "base/buf.h"
#include "store/store_tables.h"

struct store_table;

#define STORE_STATE_MAX 14336

/* What an admin record holds. */
struct store_change {
    struct span action; /* "key.create": the noun of a table, and what was done */
    struct span actor;  /* who did it */
    struct span object; /* the id of what it was done to */
    struct span state;  /* the row as a JSON object, members sorted; "{}": it is gone */
};

/* Where records are made. */
struct store_recorder {
    /* Hands a record over: it will be on the disk, unless the machine dies first. */
    enum err (*publish)(void *ctx, const struct store_change *change);
    /* Waits until what was handed over is on the disk. */
    enum err (*settle)(void *ctx);
    /* Applies what is on the disk to the store. ERR_OK: all that was handed over is in it. */
    enum err (*apply)(void *ctx, struct store *s);
    void *ctx;
};

/* Has changes recorded from now on; NULL: no more. No batch is open then or while they are. */
void store_set_recorder(struct store *s, const struct store_recorder *recorder);

/*
 * Has all that was changed before recorded, and in the rows unless the store lags. Whoever reads a
 * row to change a part of it does this first: a record holds the whole row, so that of one that is
 * behind would undo what came since. As store_change().
 */
MUST_USE enum err store_change_begin(struct store *s);

/*
 * Reads the row of the key that `row` has, as it was changed last: on the writer's handle as it was
 * recorded last, on a reader's as far as that is on the disk. As store_row_get(); the revision of a
 * row that the tables do not have yet is none that they give.
 */
MUST_USE enum err store_change_get(struct store *s, enum store_table_id table, void *row);

/*
 * The same for a page, in an index whose columns no change touches; as store_row_page().
 *
 *   ERR_STORE_BEHIND  a row that was made is not in the tables yet, and has no place in the order
 */
MUST_USE enum err store_change_page(struct store *s, enum store_table_id table, unsigned index,
                                    const struct store_page *page, store_on_row *on_row,
                                    void *context);

/*
 * Changes the row of the key that `row` has to be `row`, or makes it; `is_gone`: takes it out.
 * `row` must have the revision that its reader saw, 0 for a new one. After ERR_OK the change will
 * be: store_settle() says that it is on the disk, store_catch_up() that it is in the rows.
 *
 *   ERR_EXISTS, ERR_REVISION, ERR_NOT_FOUND_ROW, ERR_VALUE_INVALID  as store_tables.h says
 *   ERR_JOURNAL_FULL, ERR_DISK_FULL, ERR_DISK  as the journal says; nothing was changed
 *   ERR_STORE_BEHIND  the rows lag by as many changes as they may
 */
MUST_USE enum err store_change(struct store *s, enum store_table_id table, const void *row,
                               bool is_gone, const char *verb, struct span actor);

/* ERR_STORE_UNSURE  the disk did not take it: it may be, or not, once there is room or at the next
 *                   start */
MUST_USE enum err store_settle(struct store *s);
MUST_USE enum err store_catch_up(struct store *s);

/*
 * Puts what a record says into the rows, in a batch. What is there already stays as it is; so does
 * everything if this program has no such table.
 *
 *   ERR_JOURNAL_BROKEN  the state is not a row of its table
 */
MUST_USE enum err store_change_apply(struct store *s, const struct store_change *change);

/* Has the changes recorded that commands made while no gateway ran; as store_change(). */
MUST_USE enum err store_change_record_rest(struct store *s);

/* Writes a row as a JSON object, its members sorted, without number and revision. */
void store_state_write(const struct store_table *t, const void *row, struct buf *out);

#endif
