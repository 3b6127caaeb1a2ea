/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.h — who stands before and behind the gateway: a client, and a model server in threads.
 *
 * The model server answers by the model's name in the request:
 *
 *   "keep"   and keeps the connection           "close"  and closes it
 *   "broken" with status 500 and an error       others as "keep"
 *
 * and notes the X-Request-Id of each request that it has read whole.
 *
 * Threads  peer_call() in the test's; no call of theirs is ever made to fail.
 */
#ifndef TESTS_FAULT_PEER_H
#define TESTS_FAULT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_ID_CHARS   26
#define PEER_SEEN_MAX   65536
#define PEER_REPLY_MAX  (1 << 20)
#define PEER_PATIENCE_S 30 /* a byte a read, beside what else the machine does, takes five */

/* What the model server says. */
#define PEER_TEXT   "Hello from the model server"
#define PEER_TOKENS 12 /* pieces of a stream */

/* Starts the model server on a port of the kernel's choice, which is returned. */
uint16_t peer_start(void);

/* The ids that the model server has seen. */
extern char peer_seen[PEER_SEEN_MAX][PEER_ID_CHARS + 1];
size_t peer_seen_count(void);

/* Forgets all but the first `count`. */
void peer_forget(size_t count);

enum peer_end {
    PEER_WHOLE,  /* a whole reply */
    PEER_NONE,   /* the connection ended without a byte */
    PEER_CUT,    /* it ended within the reply */
    PEER_LATE,   /* nothing came for PEER_PATIENCE_S */
    PEER_ABSURD, /* not HTTP */
};

struct peer_reply {
    enum peer_end end;
    int status;
    char *body; /* unchunked; ends in a NUL */
    size_t body_len;
    bool closes; /* Connection: close */
    size_t raw_len;
    char raw[PEER_REPLY_MAX];
};

/* The value of a header of the reply, or NULL. `name` is lower-case. */
const char *peer_header(struct peer_reply *r, const char *name, char value[256]);

/* Opens a connection to the port, or to the Unix socket where `path` is not NULL; -1. */
int peer_connect(uint16_t port, const char *path);

struct peer_request {
    const char *method, *path, *key;
    const char *body; /* NULL: none */
    bool goes;        /* leave after the first bytes of the reply */
};

/* Sends the request on `fd` and reads the reply. */
void peer_call(int fd, const struct peer_request *request, struct peer_reply *out);

#endif
