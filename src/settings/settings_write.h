/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings_write.h — settings.def as the pages that people read.
 *
 * Threads  any; no state.
 */
#ifndef SETTINGS_SETTINGS_WRITE_H
#define SETTINGS_SETTINGS_WRITE_H

#include "base/buf.h"

/*
 * Writes a configuration in which every setting stands as a comment with its meaning and default;
 * `data` becomes the data folder. Removing the # before a setting sets it.
 */
void settings_write_sample(const char *data, struct buf *out);

/* Writes docs/reference/settings.md. */
void settings_write_reference(struct buf *out);

/* Writes atlas.yaml(5) in man's macros, without its title. */
void settings_write_manual(struct buf *out);

#endif
