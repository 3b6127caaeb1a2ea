/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings_value.h — the text of one setting as the value its kind asks for.
 *
 * Ownership  texts that a field points to are copied into the arena passed.
 * Threads    any; no state.
 */
#ifndef SETTINGS_SETTINGS_VALUE_H
#define SETTINGS_SETTINGS_VALUE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"
#include "settings/settings_table.h"

/*
 * Reads `text` as the row's kind, checks its range and writes the field at `field`. Lists
 * (TEXTS, CHOICES) take one item a call and add it. Paths stay as they are written.
 *
 *   ERR_CONFIG     it is not of the kind, or outside the range
 *   ERR_NO_MEMORY
 */
MUST_USE enum err settings_value_read(const struct settings_row *row, struct span text,
                                      struct arena *arena, void *field);

/* Writes the row's default to `field`; a default that is not valid is a mistake in settings.def. */
MUST_USE enum err settings_value_default(const struct settings_row *row, struct arena *arena,
                                         void *field);

/* Puts the value of a field of kind TEXT, LABEL, TEXTS, COUNT, BOOL, CHOICE or CHOICES as one would
 * write it: "[chat, completions]". */
void settings_value_put(const struct settings_row *row, const void *field, struct buf *out);

/* The i-th of the names that a row of kind CHOICE or CHOICES has. */
struct span settings_choice_name(const struct settings_row *row, unsigned i);

/* Whether the row's kind is a list. */
bool settings_value_is_list(const struct settings_row *row);

/* The number that `text` says in the units of `kind` (COUNT to PRICE). False if it says none. */
MUST_USE bool settings_number_read(enum settings_kind kind, struct span text, int64_t *out);

#endif
