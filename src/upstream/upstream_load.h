/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_load.h — what a model server's page of metrics says of the work that it has.
 *
 * The names of vLLM, SGLang, llama.cpp and TGI are known, whatever the configuration says that the
 * server is: proxies stand in between. Rows of one name are added, for each is another engine's;
 * but not those that count the same requests again: SGLang's by `priority`, of a further stage of a
 * pipeline (`pp_rank`), and of a further rank (`tp_rank`) that is none of data parallelism.
 *
 * Ownership  nothing is kept.
 * Limits     no number above UPSTREAM_LOAD_MOST; a page has UPSTREAM_LOAD_PAGE_BYTES at most.
 * Threads    any; pure.
 * Sources    Prometheus text exposition format 0.0.4; the servers' own sources and manuals.
 */
#ifndef UPSTREAM_UPSTREAM_LOAD_H
#define UPSTREAM_UPSTREAM_LOAD_H

#include "base/check.h"
#include "base/err.h"
#include "base/span.h"

#define UPSTREAM_LOAD_PAGE_BYTES (1u << 20)
#define UPSTREAM_LOAD_MOST       INT64_C(1000000) /* requests: more is no server's */

struct upstream_load {
    int64_t running, waiting; /* requests */
    int64_t kv_permille;      /* of the KV cache in use, where it is fullest; -1: it does not say */
};

/*
 * Reads a page; of several models those rows that have this `model_name`, or all if `model` is
 * empty. `why` says in a sentence what is wrong.
 *
 *   ERR_VALUE_INVALID  no row says how many requests run; or one of those that count has a value
 *                      that is no number of requests (negative, NaN, infinite, too large), or is
 *                      torn: then nothing of the page is believed
 */
MUST_USE enum err upstream_load_read(struct span page, struct span model, const char **why,
                                     struct upstream_load *out);

#endif
