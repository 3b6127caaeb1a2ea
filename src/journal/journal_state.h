/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_state.h — strict JCS, read: strings as a record has them, and whole objects. For the
 * files of this part only; journal_state_is_valid() is in journal_record.h.
 *
 * Threads  any; a codec.
 * Sources  RFC 8785, docs/formats/journal.md.
 */
#ifndef JOURNAL_JOURNAL_STATE_H
#define JOURNAL_JOURNAL_STATE_H

#include "journal/journal_record.h"

/* Takes a string, with its quotes, off the front of `rest`, which is UTF-8. What it means goes to
 * `out` (NULL: nowhere), at most `size` bytes; false if it is none as we write it, or longer. */
MUST_USE bool journal_text_take(struct span *rest, char *out, size_t size, size_t *len);

/* Bytes of the object at the front of `text`, which is UTF-8; 0 if there is none as an admin record
 * may hold it. */
size_t journal_state_length(struct span text);

#endif
