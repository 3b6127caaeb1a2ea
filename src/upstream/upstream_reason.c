/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/upstream_reason.h"

#define LOOKED_AT_BYTES (8 * 1024)

/* The first whose words stand in the body counts: the particular before the general. */
static const struct {
    const char *words; /* in letters of either case */
    const char *reason;
} causes[] = {
    {"out of memory", "it says that it is out of memory"},
    {"no space left", "it says that its disk is full"},
    {"loading model", "it says that it still loads the model"},
    {"model is loading", "it says that it still loads the model"},
    {"enginedead", "it says that its engine died"},
    {"engine dead", "it says that its engine died"},
    {"engine is dead", "it says that its engine died"},
    {"engine loop", "it says that its engine died"},
    {"runner process", "it says that the process that runs the model ended"},
    {"nccl", "it says that its GPUs do not reach one another"},
    {"cuda error", "it says that its GPU failed"},
    {"hip error", "it says that its GPU failed"},
    {"context size", "it says that the prompt does not fit its context"},
    {"failed to parse", "it says that it could not parse what its model wrote"},
    {"chat template", "it says that the model's chat template failed"},
    {"no available", "it says that it has nothing free"},
    {"bad gateway", "a proxy before it says that it does not answer"},
    {"gateway time", "a proxy before it says that it does not answer in time"},
    {"timed out", "it says that something there took too long"},
};

const char *upstream_reason_read(struct span body)
{
    struct span text = span_cut(body, 0, LOOKED_AT_BYTES);
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
        if (span_find_nocase(text, span_of(causes[i].words), 0) < text.len) {
            return causes[i].reason;
        }
    }
    return NULL;
}
