/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_budgets.h — GET /v1/budget: the budgets that calls of the key count in, and how they
 * stand: its own, its user's, its team's and its organisation's. All of it is in memory.
 *
 * Threads  the worker's own.
 */
#ifndef GATEWAY_GATEWAY_BUDGETS_H
#define GATEWAY_GATEWAY_BUDGETS_H

#include "gateway/gateway_answer.h"

/* Who asks is known. */
void gateway_budgets_list(struct gateway_answer *a);

#endif
