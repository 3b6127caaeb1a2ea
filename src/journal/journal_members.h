/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_members.h — what the rows of journal_record.def are read with: a bit a kind of record.
 * For the files of this part that include the table.
 */
#ifndef JOURNAL_JOURNAL_MEMBERS_H
#define JOURNAL_JOURNAL_MEMBERS_H

#include "journal/journal_record.h"

#define INTENT     (1u << JOURNAL_INTENT)
#define TRY_END    (1u << JOURNAL_TRY_END)
#define COMPLETION (1u << JOURNAL_COMPLETION)
#define ADMIN      (1u << JOURNAL_ADMIN)
#define RECOVERY   (1u << JOURNAL_RECOVERY)
#define ORIGIN     (1u << JOURNAL_ORIGIN)
#define ALL        ((1u << JOURNAL_KIND_COUNT) - 2u)

#endif
