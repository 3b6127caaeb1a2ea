/* SPDX-License-Identifier: Apache-2.0 */
/* decision_internal.h — facts and filters. For the part's own files. */
#ifndef DECISION_DECISION_INTERNAL_H
#define DECISION_DECISION_INTERNAL_H

#include "decision/decision.h"

/* Prepares to find facts of what is asked. */
void decision_begin_facts(struct decision_work *work, const struct decision_ask *ask);

/* What was asked for: by whichever alias, a model has one name. */
struct span decision_model_name(const struct decision_ask *ask);

#endif
