/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_models.h — GET /v1/models and /v1/models/{id}: what the key may use, and nothing else.
 *
 * Threads  the worker's own.
 */
#ifndef GATEWAY_GATEWAY_MODELS_H
#define GATEWAY_GATEWAY_MODELS_H

#include "gateway/gateway_answer.h"

/* Who asks is known. */
void gateway_models_list(struct gateway_answer *a);

/* `rest`: the model as the path says it. */
void gateway_models_show(struct gateway_answer *a, struct span rest);

#endif
