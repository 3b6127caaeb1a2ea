/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h — a fast stand-in for a model server: OpenAI's shape, every kind of fault, and counts of
 * what it saw.
 *
 *   POST /v1/chat/completions, /v1/completions, /v1/embeddings; GET /v1/models, /health
 *   GET  /metrics        in the names of one of enum sim_metrics; SIM_METRICS_NONE: 404
 *   GET  /sim/counters   connections, calls, finished, aborted
 *   GET  /sim/calls      a line a call id (X-Request-Id): id, attempts, finished, aborted
 *   GET  /sim/last       the last request as it came: head and body
 *
 * Ownership  sim_open() hands it to the caller.
 * Limits     1,000,000 ids are remembered; a body of 64 MiB.
 * Threads    the loop's own.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "sim/sim_plan.h"

struct net_loop;
struct sim;

/* Whose names its metrics have. */
enum sim_metrics {
    SIM_METRICS_VLLM,
    SIM_METRICS_SGLANG,
    SIM_METRICS_LLAMA_CPP,
    SIM_METRICS_TGI,
    SIM_METRICS_NONE
};

/* What --metrics calls them, in the order of the enum. */
#define SIM_METRICS_WORDS "vllm sglang llama.cpp tgi none"

/* Answers on the listening socket `fd` (taken) as `plan` says. */
MUST_USE enum err sim_open(struct net_loop *loop, int fd, const struct sim_plan *plan,
                           enum sim_metrics metrics, struct sim **out);

void sim_close(struct sim **s);

#endif
