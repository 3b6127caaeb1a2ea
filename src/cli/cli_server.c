/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_server.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/counter.h"
#include "http/http_response.h"
#include "net/net_loop.h"
#include "net/net_resolve.h"
#include "net/net_signal.h"
#include "upstream/deployment.h"
#include "upstream/upstream_pool.h"
#include "upstream/upstream_trust.h"

#define PIECE_BYTES 16384
#define CONNECT_MS  10000
#define SILENCE_MS  600000
#define TOTAL_MS    3600000
#define START_US    3000000 /* a server that was started with us may need so long to listen */
#define PAUSE_US    100000

struct asking {
    struct net_loop *loop;
    struct net_resolver *resolver;
    struct upstream_pool *pool;
    struct deployment *deployment;
    struct attempt *attempt;
    struct net_signal *signals[2];
    cli_on_bytes *on_bytes;
    void *ctx;
    struct cli_answered *out;
    bool is_done; /* the caller had enough, or the body ended */
};

static void on_signal(void *ctx, int number)
{
    struct asking *a = ctx;
    a->out->signal = number;
    net_loop_stop(a->loop);
}

static void on_event(void *ctx)
{
    struct asking *a = ctx;
    uint8_t room[PIECE_BYTES];
    enum attempt_state state = attempt_state(a->attempt);
    if (state < ATTEMPT_HEAD) {
        return;
    }
    enum attempt_pulled pulled = ATTEMPT_SOME;
    while (state != ATTEMPT_FAILED && pulled == ATTEMPT_SOME && !a->is_done) {
        size_t got = 0;
        a->out->status = attempt_head(a->attempt)->status;
        pulled = attempt_pull(a->attempt, room, sizeof(room), &got);
        a->is_done = pulled == ATTEMPT_DONE;
        if (got > 0 && !a->on_bytes(a->ctx, a->out->status, span_make(room, got))) {
            a->is_done = true;
        }
        state = attempt_state(a->attempt);
    }
    if (a->is_done || pulled == ATTEMPT_BROKEN || state == ATTEMPT_FAILED) {
        net_loop_stop(a->loop);
    }
}

static enum err open_all(struct asking *a, const struct cli_server *server)
{
    const struct upstream_definition definition = {
        .name = "server",
        .kind = UPSTREAM_OPENAI,
        .url = server->url,
        .api_key = server->key,
        .ca_file = server->ca_file,
        .connect_timeout_ms = CONNECT_MS,
        .first_byte_timeout_ms = SILENCE_MS,
        .idle_timeout_ms = SILENCE_MS,
        .total_timeout_ms = TOTAL_MS,
        .reply_bytes_max = INT64_MAX,
    };
    const struct net_dns_settings system = {{NULL, 0}};
    char reason[DEPLOYMENT_REASON_BYTES] = "";
    counter_thread_start();
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal */
    enum err e = net_loop_open(&a->loop);
    if (e == ERR_OK) {
        e = net_signal_open(a->loop, SIGINT, on_signal, a, &a->signals[0]);
    }
    if (e == ERR_OK) {
        e = net_signal_open(a->loop, SIGTERM, on_signal, a, &a->signals[1]);
    }
    if (e == ERR_OK) {
        e = net_resolver_open(&system, &a->resolver);
    }
    if (e == ERR_OK) {
        e = upstream_pool_open(a->loop, a->resolver, &a->pool);
    }
    if (e == ERR_OK) {
        e = upstream_trust_open_alone(&definition, reason, &a->deployment);
    }
    if (e != ERR_OK) {
        snprintf(a->out->reason, sizeof(a->out->reason), "%s",
                 reason[0] != '\0' ? reason : err_sentence(e));
    }
    return e;
}

/* The reason why an attempt failed, for who sits before the terminal. */
static void explain(struct asking *a, const char *url)
{
    enum err e = attempt_error(a->attempt);
    const char *problem = attempt_problem(a->attempt);
    const char *what = err_sentence(e);
    if (e == ERR_UPSTREAM_CONNECT) {
        what = strncmp(url, "https:", 6) == 0
                   ? "nobody answers there in TLS; does Atlas run, and is it https?"
                   : "nobody answers there; does Atlas run, and is --url right?";
    } else if (e == ERR_UPSTREAM_DNS) {
        what = "there is no such host";
    } else if (e == ERR_UPSTREAM_TLS) {
        what = "its certificate is not one to trust";
    } else if (a->out->status != 0) {
        what = "the answer broke off";
    }
    snprintf(a->out->reason, sizeof(a->out->reason), "%.*s: %s%s%s",
             (int)sizeof(a->out->reason) / 2, url, what, problem == NULL ? "" : ": ",
             problem == NULL ? "" : problem);
}

static void close_all(struct asking *a)
{
    attempt_close(&a->attempt);
    deployment_unref(&a->deployment);
    upstream_pool_close(&a->pool);
    net_resolver_close(&a->resolver);
    net_signal_close(&a->signals[0]);
    net_signal_close(&a->signals[1]);
    net_loop_close(&a->loop);
}

/* `*is_nobody`: nobody took the connection, so nothing was sent. */
static bool ask_once(const struct asking *now, const struct cli_server *server,
                     const struct attempt_request *request, bool *is_nobody)
{
    struct asking a = *now;
    struct cli_answered *out = a.out;
    *out = (struct cli_answered){0};
    *is_nobody = false;
    enum err e = open_all(&a, server);
    if (e == ERR_OK) {
        e = attempt_prepare(a.pool, a.deployment, request, on_event, &a, &a.attempt);
        if (e != ERR_OK) {
            snprintf(out->reason, sizeof(out->reason), "%s", err_sentence(e));
        }
    }
    if (e == ERR_OK) {
        attempt_start(a.attempt);
        net_loop_run(a.loop);
        if (!a.is_done && out->signal == 0) {
            *is_nobody = attempt_error(a.attempt) == ERR_UPSTREAM_CONNECT;
            explain(&a, server->url);
        }
    }
    close_all(&a);
    return a.is_done && out->signal == 0;
}

bool cli_server_ask(const struct cli_server *server, const struct attempt_request *request,
                    cli_on_bytes *on_bytes, void *ctx, struct cli_answered *out)
{
    const struct asking a = {.on_bytes = on_bytes, .ctx = ctx, .out = out};
    const int64_t end_us = clock_mono().us + START_US;
    bool is_nobody;
    bool is_done = ask_once(&a, server, request, &is_nobody);
    while (is_nobody && clock_mono().us < end_us) {
        const struct timespec pause = {.tv_nsec = PAUSE_US * 1000L};
        (void)nanosleep(&pause, NULL); /* cut short: one try more */
        is_done = ask_once(&a, server, request, &is_nobody);
    }
    return is_done;
}
