/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_server.h — one question to an HTTP server, whose answer is handed on as it comes.
 *
 * It goes through the client that the gateway asks its model servers with, so names, TLS and
 * framing are treated alike. SIGINT and SIGTERM end the wait.
 *
 * Ownership  nothing is kept.
 * Limits     3 s in which nobody may listen yet, 10 s to connect, 10 minutes of silence, an hour in
 * all. Threads    the main thread; it blocks the calling one. Sources    attempt.h.
 */
#ifndef CLI_CLI_SERVER_H
#define CLI_CLI_SERVER_H

#include "base/value.h"
#include "upstream/attempt.h"

#define CLI_REASON_BYTES 512

struct cli_server {
    const char *url;     /* with its base path, such as http://127.0.0.1:8080/v1 */
    struct secret key;   /* sent as Bearer; .text NULL: none */
    const char *ca_file; /* to trust instead of the system's; NULL: the system's */
};

/* How it went. */
struct cli_answered {
    unsigned status;               /* HTTP's; 0: there was no answer */
    int signal;                    /* that ended it; 0: none */
    char reason[CLI_REASON_BYTES]; /* after a failure: a sentence without its full stop */
};

/* Takes the next bytes of a body; false: that was enough. */
typedef bool cli_on_bytes(void *ctx, unsigned status, struct span bytes);

/* Asks. False after a failure or a signal; the body's pieces up to there were handed on. */
bool cli_server_ask(const struct cli_server *server, const struct attempt_request *request,
                    cli_on_bytes *on_bytes, void *ctx, struct cli_answered *out);

#endif
