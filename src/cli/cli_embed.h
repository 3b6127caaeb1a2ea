/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_embed.h — vectors of texts, asked of a model server over the client that calls use.
 *
 * Ownership  cli_embedder_open() gives it to the caller, who ends it with cli_embedder_close().
 * Limits     CLI_EMBED_TEXTS texts at a time; an answer of CLI_EMBED_ANSWER_MAX bytes; the
 *            upstream's own times.
 * Threads    the caller's alone: it waits.
 * Sources    OpenAI's API reference (embeddings).
 */
#ifndef CLI_CLI_EMBED_H
#define CLI_CLI_EMBED_H

#include "base/buf.h"
#include "base/err.h"
#include "net/net_resolve.h"
#include "upstream/deployment.h"

#define CLI_EMBED_TEXTS      32
#define CLI_EMBED_ANSWER_MAX (16u << 20)

struct cli_embedder;

MUST_USE enum err cli_embedder_open(const struct net_dns_settings *dns, struct cli_embedder **out);
void cli_embedder_close(struct cli_embedder **e);

/* Who is asked, and for what. */
struct cli_embed_ask {
    struct deployment *deployment;
    struct span model; /* as its server calls it */
    const struct span *texts;
    size_t count;
};

/* What came of it. */
struct cli_vectors {
    struct buf floats; /* the caller's: of each text `dimensions`, one behind the other */
    size_t dimensions;
    unsigned status; /* of the answer; 0: there was none */
};

/*
 * Asks for the vectors of texts.
 *
 *   ERR_UPSTREAM_JSON    the answer has other than so many vectors of one length of finite numbers
 *   ERR_UPSTREAM_STATUS  it is not 200; or what an attempt says: attempt.h
 */
MUST_USE enum err cli_embed(struct cli_embedder *e, const struct cli_embed_ask *ask,
                            struct cli_vectors *out);

#endif
