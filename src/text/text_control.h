/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_control.h — characters that are not shown, and change how what stands around them is.
 *
 * A name that holds one can be shown as another name: ESC and its kind are obeyed by terminals, and
 * those that set the direction of writing turn round what a line shows behind them.
 *
 * Threads  any; no state.
 * Sources  Unicode: general category Cc, and property Bidi_Control (UAX #9).
 */
#ifndef TEXT_TEXT_CONTROL_H
#define TEXT_TEXT_CONTROL_H

#include "base/span.h"

/* How many bytes the control character has that begins at text.at[at]; 0: none does. */
size_t text_control_at(struct span text, size_t at);

/* Whether there is one in the text. */
bool text_has_control(struct span text);

#endif
