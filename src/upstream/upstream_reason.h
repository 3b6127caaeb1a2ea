/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_reason.h — why a model server failed, for the operator's log.
 *
 * What it says itself may quote the prompt or the model's output (llama.cpp does, where it cannot
 * parse a tool call), so no byte of it is written down: a known cause is named in words of ours.
 *
 * Ownership  the answer is a constant.
 * Limits     the first 8 KiB of a body are looked at.
 * Threads    any; pure.
 * Sources    the error messages of vLLM, SGLang, llama.cpp, Ollama, TGI and of proxies before them.
 */
#ifndef UPSTREAM_UPSTREAM_REASON_H
#define UPSTREAM_UPSTREAM_REASON_H

#include "base/span.h"

/* "it says that …"; NULL where no known cause stands in `body`. */
const char *upstream_reason_read(struct span body);

#endif
