/* SPDX-License-Identifier: Apache-2.0 */
/* decision_internal.h — facts and filters. For the part's own files. */
#ifndef DECISION_DECISION_INTERNAL_H
#define DECISION_DECISION_INTERNAL_H

#include "decision/decision.h"

/* What was asked: its language, and of an Arabic text its dialect; empty: it has none. */
struct text_language decision_language(struct decision_work *work);
struct span decision_dialect(struct decision_work *work);

/* Prepares to find facts of what is asked. */
void decision_begin_facts(struct decision_work *work, const struct decision_ask *ask);

#endif
