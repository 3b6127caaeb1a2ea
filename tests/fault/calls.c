/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenarios chat, stream, embeddings: one call from its connection to the store. Whatever failed,
 * the answer is right, an error that says so, or cut; never one that looks whole and is not. All
 * that was taken is given back, and the next call succeeds.
 */
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGE_BYTES (100 * 1024)

enum shape { CHAT, STREAM, EMBEDDINGS };

/* What a case does besides: the sums of these are its `what`. */
enum { COLD, WARM = 16, SECOND = 32, LARGE = 64, BROKEN = 128, GOES = 256 };
enum { FAR = 1024, NAMED = 2048, PRICED = 4096 };

static struct peer_reply reply;
static bool was_cut; /* by the process's end */
static int kept_fd = -1;
static char large[LARGE_BYTES + 1];

static enum shape shape_of(const struct fault_case *c)
{
    return (enum shape)(c->what & 15);
}

static const char *model_of(int what)
{
    return (what & BROKEN) != 0   ? "broken"
           : (what & FAR) != 0    ? "far"
           : (what & NAMED) != 0  ? "named"
           : (what & PRICED) != 0 ? "priced"
           : (what & WARM) != 0   ? "kept"
                                  : "close";
}

static struct peer_request request_of(const struct world *w, enum shape shape, int what)
{
    static char body[LARGE_BYTES + 1024];
    const char *model = model_of(what);
    if ((what & LARGE) != 0 && large[0] == '\0') {
        memset(large, 'x', LARGE_BYTES);
    }
    const char *text = (what & LARGE) != 0 ? large : "Hello";
    if (shape == EMBEDDINGS) {
        (void)snprintf(body, sizeof(body),
                       "{\"model\":\"%s\",\"input\":[\"%s\",\"b\"],\"encoding_format\":\"base64\"}",
                       model, text);
    } else {
        (void)snprintf(body, sizeof(body),
                       "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]%s}",
                       model, text, shape == STREAM ? ",\"stream\":true" : "");
    }
    return (struct peer_request){.method = "POST",
                                 .path = shape == EMBEDDINGS ? "/v1/embeddings"
                                                             : "/v1/chat/completions",
                                 .key = w->key,
                                 .body = body,
                                 .goes = (what & GOES) != 0};
}

static void prepare(struct world *w, const struct fault_case *c)
{
    if ((c->what & WARM) != 0) { /* leaves a connection in the pool */
        struct peer_request request = request_of(w, CHAT, WARM);
        world_call(w, &request, &reply);
        world_settle(w);
    }
    if ((c->what & SECOND) != 0) {
        struct peer_request request = request_of(w, shape_of(c), c->what & ~GOES);
        kept_fd = peer_connect(w->port, NULL);
        peer_call(kept_fd, &request, &reply);
    }
}

static void run(struct world *w, const struct fault_case *c)
{
    struct peer_request request = request_of(w, shape_of(c), c->what);
    if (kept_fd >= 0) {
        world_note_client(w, kept_fd);
        peer_call(kept_fd, &request, &reply);
        world_note_client(w, -1);
        (void)close(kept_fd);
        kept_fd = -1;
    } else {
        world_call(w, &request, &reply);
    }
    was_cut = atomic_load(&w->ended) == ERR_DISK;
    world_settle(w);
}

/* ---- what must hold of the answer ---- */

static void check_headers(void)
{
    static const char *const needed[] = {"x-request-id",   "x-audit-trace-id", "x-sovereign-id",
                                         "x-route-policy", "x-data-residency", "content-type"};
    char value[256];
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (peer_header(&reply, needed[i], value) == NULL) {
            fault_wrong("the reply has no %s: %.300s", needed[i], reply.raw);
            return;
        }
    }
}

static bool has_all_tokens(void)
{
    char token[16];
    for (int i = 0; i < PEER_TOKENS; i++) {
        (void)snprintf(token, sizeof(token), "\"<%d>\"", i);
        if (strstr(reply.body, token) == NULL) {
            return false;
        }
    }
    return true;
}

/* Whether a whole reply of status 200 says what the model server said. */
static bool is_right_answer(enum shape shape)
{
    switch (shape) {
    case CHAT:
        return strstr(reply.body, "\"content\":\"" PEER_TEXT "\"") != NULL &&
               reply.body[reply.body_len - 1] == '}';
    case STREAM:
        return has_all_tokens() && strstr(reply.body, "data: [DONE]\n\n") != NULL &&
               strstr(reply.body, "\"error\"") == NULL && strstr(reply.body, "\"usage\":{") == NULL;
    case EMBEDDINGS:
        return strstr(reply.body, "\"embedding\":\"AAAAPwAAoL8AAABAAAAAPA==\"") != NULL &&
               strstr(reply.body, "\"embedding\":\"AACAPwAAAEAAAEBAAACAQA==\"") != NULL &&
               reply.body[reply.body_len - 1] == '}';
    }
    return false;
}

/* A stream that broke off says so, and is ended like one. */
static bool is_told_error(enum shape shape)
{
    const char *error = strstr(reply.body, "data: {\"error\":{\"message\":");
    return shape == STREAM && error != NULL && strstr(error, "data: [DONE]\n\n") != NULL &&
           strstr(reply.body, "\"code\":\"invalid") == NULL;
}

static bool may_be_cut(const struct fault_case *c)
{
    const unsigned kinds =
        FAULT_KIND(MALLOC) | FAULT_KIND(READ) | FAULT_KIND(WRITE) | FAULT_KIND(SYSTEM);
    return was_cut || (c->what & GOES) != 0 ||
           (fault_hits() > 0 && (kinds & (1u << fault_kind())) != 0);
}

/* Failures that the call itself must not notice. */
static bool must_succeed(void)
{
    return fault_hits() == 0 || fault_kind() == INJECT_SHORT || fault_kind() == INJECT_SQL;
}

static void check_whole(const struct fault_case *c)
{
    enum shape shape = shape_of(c);
    if ((c->what & BROKEN) != 0 && reply.status == 502) {
        if (strstr(reply.body, "\"code\":\"upstream_error\"") == NULL) {
            fault_wrong("an upstream's 500 is told so: %s", reply.raw);
        }
    } else if (reply.status != 200) {
        if (must_succeed()) {
            fault_wrong("it should have succeeded: %s", reply.raw);
        }
        fault_check_error(&reply);
    } else if (!is_right_answer(shape)) {
        if (must_succeed() || !is_told_error(shape)) {
            fault_wrong("the answer is whole but not right: %s", reply.raw);
        }
    } else {
        check_headers();
    }
}

static void check_answer(const struct fault_case *c)
{
    if (reply.end == PEER_WHOLE) {
        check_whole(c);
    } else if (reply.end == PEER_LATE) {
        fault_wrong("no answer within %d s; so far: %s", PEER_PATIENCE_S, reply.raw);
    } else if (reply.end == PEER_ABSURD) {
        fault_wrong("the answer is not HTTP: %s", reply.raw);
    } else if (!may_be_cut(c)) {
        fault_wrong("the connection was closed; so far: %s", reply.raw);
    }
}

static void check(struct world *w, const struct fault_case *c)
{
    check_answer(c);
    world_recover(w);
    struct peer_request request = request_of(w, shape_of(c), COLD);
    world_call(w, &request, &reply);
    if (reply.end != PEER_WHOLE || reply.status != 200 || !is_right_answer(shape_of(c))) {
        fault_wrong("the next call fails: end %d, %s", (int)reply.end, reply.raw);
    }
    world_settle(w);
}

/* ---- the scenarios ---- */

static void open_world(struct world *w)
{
    struct peer_request request = request_of(w, CHAT, NAMED);
    world_start(w); /* once before: libraries keep what they make first, threads for names too */
    world_call(w, &request, &reply);
    world_settle(w);
    world_stop(w);
    world_close(w);
    world_count_before(w);
    world_start(w);
}

static void close_world(struct world *w)
{
    world_settle(w);
    world_stop(w);
    world_close(w);
    world_check_counts(w);
    books_check(w);
}

#define CASE(name, kinds, what)                \
    {                                          \
        name, kinds, what, prepare, run, check \
    }
#define ON_PATH                                                                      \
    (FAULT_KIND(MALLOC) | FAULT_KIND(READ) | FAULT_KIND(WRITE) | FAULT_KIND(SHORT) | \
     FAULT_KIND(CONNECT) | FAULT_KIND(SYSTEM))

static const struct fault_case chat[] = {
    CASE("new connections", FAULT_ALL, CHAT | COLD),
    CASE("a pooled connection", ON_PATH, CHAT | WARM),
    CASE("a client's second request", ON_PATH, CHAT | SECOND),
    CASE("a model abroad", FAULT_ALL, CHAT | FAR),
    CASE("a named server", ON_PATH, CHAT | NAMED),
    CASE("a large body", ON_PATH, CHAT | LARGE | PRICED),
    CASE("a server that fails", ON_PATH, CHAT | BROKEN),
    {0},
};

static const struct fault_case stream[] = {
    CASE("new connections", FAULT_ALL, STREAM | COLD),
    CASE("a pooled connection", ON_PATH, STREAM | WARM),
    CASE("a client's second request", ON_PATH, STREAM | SECOND),
    CASE("a client that leaves", ON_PATH, STREAM | GOES),
    CASE("a server that fails", ON_PATH, STREAM | BROKEN),
    {0},
};

static const struct fault_case embeddings[] = {
    CASE("new connections", FAULT_ALL, EMBEDDINGS | COLD),
    CASE("a pooled connection", ON_PATH, EMBEDDINGS | WARM),
    CASE("a large body", ON_PATH, EMBEDDINGS | LARGE),
    {0},
};

const struct fault_scenario fault_chat = {"chat", open_world, chat, close_world};
const struct fault_scenario fault_stream = {"stream", open_world, stream, close_world};
const struct fault_scenario fault_embeddings = {"embeddings", open_world, embeddings, close_world};
