/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each upstream is asked for its /models over the very client that calls use, so what is found here
 * (names, TLS, CA file, key) is what calls will find. One at a time, on a loop of this thread.
 */
#include "doctor/doctor_internal.h"

#include <string.h>

#include "http/http_response.h"
#include "net/net_loop.h"
#include "net/net_resolve.h"
#include "upstream/attempt.h"
#include "upstream/deployment.h"
#include "upstream/upstream_pool.h"
#include "upstream/upstream_trust.h"
#include "json/json_value.h"

#define WAIT_MS        10000 /* at most, for any one wait */
#define LIST_BYTES_MAX (4u << 20)
#define LIST_ROWS_MAX  200000
#define PIECE_BYTES    65536
#define LISTED_SHOWN   5 /* models of a list in a sentence, and bytes of each */
#define LISTED_BYTES   100

/* One upstream's answer on its way. */
struct asked {
    struct net_loop *loop;
    struct attempt *attempt;
    struct buf list; /* the body so far */
    bool too_long;
};

/* Pulls what is there; stops the loop at the end, whichever. */
static void on_event(void *ctx)
{
    struct asked *a = ctx;
    enum attempt_state state = attempt_state(a->attempt);
    if (state < ATTEMPT_HEAD) {
        return;
    }
    enum attempt_pulled pulled = ATTEMPT_SOME;
    while (state != ATTEMPT_FAILED && pulled == ATTEMPT_SOME && !a->too_long) {
        size_t got = 0;
        uint8_t *room = buf_reserve(&a->list, PIECE_BYTES);
        if (room == NULL) {
            a->too_long = true;
            break;
        }
        pulled = attempt_pull(a->attempt, room, PIECE_BYTES, &got);
        buf_added(&a->list, got);
        state = attempt_state(a->attempt);
    }
    if (pulled != ATTEMPT_LATER || state == ATTEMPT_FAILED || a->too_long) {
        net_loop_stop(a->loop);
    }
}

static int64_t at_most(int64_t ms)
{
    return ms < WAIT_MS ? ms : WAIT_MS;
}

static bool is_loopback(const struct deployment *d)
{
    return strcmp(d->host, "localhost") == 0 || strncmp(d->host, "127.", 4) == 0 ||
           strcmp(d->host, "::1") == 0;
}

/* Whether a handshake failed since the other side has no TLS. */
static bool is_plain_answer(const char *problem)
{
    return problem != NULL && (strstr(problem, "wrong version number") != NULL ||
                               strstr(problem, "packet length too long") != NULL ||
                               strstr(problem, "http request") != NULL);
}

/* False: it was said what is wrong. */
static bool check_url(struct doctor *d, const char *what, const struct upstream_definition *up)
{
    char fault[SETTINGS_FAULT_BYTES];
    if (settings_url_is_too_long(up->url, fault)) {
        doctor_say(d, DOCTOR_FAIL, what, "%s %s", doctor_shown_url(d, up->url), fault);
        return false;
    }
    return true;
}

static const char *mend_of_tls(enum err e, const char *problem)
{
    if (e == ERR_UPSTREAM_CONNECT) {
        return "is it running? where its port speaks plain HTTP, begin `url:` with http://";
    }
    return is_plain_answer(problem) ? "that port speaks plain HTTP: begin `url:` with http://"
                                    : "check the name in `url:`, its certificate, and `ca_file:`";
}

static const char *mend_of(enum err e, bool is_https, const char *problem)
{
    switch ((int)e) {
    case ERR_UPSTREAM_DNS:
        return "check the host in `url:` and this machine's name servers";
    case ERR_UPSTREAM_TIMEOUT:
    case ERR_UPSTREAM_UNREACHED:
        return "is it busy loading a model, is a firewall in between, does it speak https?";
    case ERR_UPSTREAM_TLS:
        return mend_of_tls(e, problem);
    case ERR_UPSTREAM_PROTOCOL:
    case ERR_UPSTREAM_CLOSED:
        return is_https
                   ? "is that port an HTTP server's, is it https as `url:` says, or plain HTTP?"
                   : "is that port an HTTP server's? where it speaks TLS, begin `url:` with "
                     "https://";
    default:
        return is_https ? mend_of_tls(e, problem) : "is it running, and is `url:` right?";
    }
}

static void say_failed(struct doctor *d, const char *what, const struct upstream_definition *up,
                       enum err e, const char *problem)
{
    const char *mend = mend_of(e, strncmp(up->url, "https:", 6) == 0, problem);
    doctor_say(d, DOCTOR_FAIL, what, "%s: %s%s%s — %s", doctor_shown_url(d, up->url),
               err_sentence(e), problem == NULL ? "" : ": ", problem == NULL ? "" : problem, mend);
}

/* Whether `name` is on the list; if not, `others` shows some that are. */
static bool is_listed(const struct json_index *x, uint32_t data, const char *name,
                      struct buf *others)
{
    size_t shown = 0;
    for (uint32_t row = json_first(x, data); row != JSON_NONE; row = json_next(x, row)) {
        uint32_t id = json_find(x, row, SPAN("id"));
        if (id == JSON_NONE || json_kind(x, id) != JSON_STRING) {
            continue;
        }
        if (json_text_is(x, id, span_of(name))) {
            return true;
        }
        if (shown < LISTED_SHOWN) {
            struct span text = span_cut(json_inside(x, id), 0, LISTED_BYTES);
            buf_printf(others, "%s%.*s", shown++ == 0 ? "" : ", ", SPAN_ARGS(text));
        }
    }
    if (shown == 0) {
        buf_put_text(others, "nothing");
    }
    return false;
}

/* What an upstream lists. */
struct listed {
    const struct json_index *x;
    uint32_t data;
};

static void check_name(struct doctor *d, const char *what, const char *model, const char *sent,
                       const struct listed *list)
{
    const char *name = sent != NULL ? sent : model;
    struct buf others;
    buf_init(&others, LISTED_SHOWN * (LISTED_BYTES + 2) + 1);
    if (!is_listed(list->x, list->data, name, &others)) {
        doctor_say(d, DOCTOR_WARN, what,
                   "it does not list '%s', which the model '%s' asks for; it lists %.*s — set "
                   "`upstream_name:`",
                   name, model, SPAN_ARGS(buf_span(&others)));
    }
    buf_fini(&others);
}

/* Says which of the upstream's models are not on its list. */
static void check_listed(struct doctor *d, const char *what, const struct upstream_definition *up,
                         const struct json_index *x, uint32_t data)
{
    const struct listed list = {x, data};
    const struct policy_settings *g = &d->settings->gateway;
    for (size_t i = 0; i < g->models_count; i++) {
        const struct model_settings *m = &g->models[i];
        if (m->upstream != NULL && strcmp(m->upstream, up->name) == 0 && !m->is_pattern) {
            check_name(d, what, m->name, m->upstream_name, &list);
        }
        for (size_t j = 0; j < m->deployments_count && !m->is_pattern; j++) {
            if (strcmp(m->deployments[j].upstream, up->name) == 0) {
                check_name(d, what, m->name, m->deployments[j].upstream_name, &list);
            }
        }
    }
}

static void check_list(struct doctor *d, const char *what, const struct upstream_definition *up,
                       struct span list)
{
    struct json_index x;
    json_index_init(&x, LIST_ROWS_MAX, 64);
    uint32_t data = JSON_NONE;
    if (json_index_parse_borrow(&x, list) == ERR_OK) {
        data = json_find(&x, 0, SPAN("data"));
    }
    if (data != JSON_NONE && json_kind(&x, data) == JSON_ARRAY) {
        doctor_say(d, DOCTOR_OK, what, "%s answers and lists %zu model%s",
                   doctor_shown_url(d, up->url), (size_t)json_count(&x, data),
                   SPAN_PLURAL(json_count(&x, data)));
        check_listed(d, what, up, &x, data);
    } else {
        doctor_say(d, DOCTOR_FAIL, what,
                   "%s/models answers, but not with a list of models — should `url:` end in /v1?",
                   doctor_shown_url(d, up->url));
    }
    json_index_fini(&x);
}

static void check_answer(struct doctor *d, const char *what, const struct upstream_definition *up,
                         const struct asked *a)
{
    unsigned status = attempt_head(a->attempt)->status;
    const char *url = doctor_shown_url(d, up->url);
    if (a->too_long) {
        doctor_say(d, DOCTOR_WARN, what, "%s/models answers with more than %u bytes", url,
                   LIST_BYTES_MAX);
    } else if (status == 200) {
        check_list(d, what, up, buf_span(&a->list));
    } else if (status == 401 || status == 403) {
        doctor_say(d, DOCTOR_FAIL, what,
                   "%s refuses us (%u); its api_key is %s — correct `api_key:`", url, status,
                   value_secret_shown(up->api_key));
    } else if (status == 404 || status == 405) {
        doctor_say(d, DOCTOR_WARN, what,
                   "%s answers, but has no /models (%u) — should `url:` end in /v1?", url, status);
    } else {
        doctor_say(d, DOCTOR_FAIL, what, "%s/models answers %u — look into that server's own log",
                   url, status);
    }
}

static void ask(struct doctor *d, const char *what, const struct upstream_definition *up,
                struct upstream_pool *pool, struct asked *a, struct deployment *deployment)
{
    const struct attempt_request request = {.path = SPAN("/models")};
    enum err e = attempt_prepare(pool, deployment, &request, on_event, a, &a->attempt);
    if (e != ERR_OK) {
        say_failed(d, what, up, e, NULL);
        return;
    }
    attempt_start(a->attempt);
    net_loop_run(a->loop);
    if (attempt_state(a->attempt) == ATTEMPT_FAILED) {
        say_failed(d, what, up, attempt_error(a->attempt), attempt_problem(a->attempt));
    } else {
        check_answer(d, what, up, a);
    }
    attempt_close(&a->attempt);
}

static void check_upstream(struct doctor *d, const struct upstream_definition *up,
                           struct net_loop *loop, struct upstream_pool *pool)
{
    struct upstream_definition quick = *up;
    struct deployment *deployment = NULL;
    struct asked a = {.loop = loop};
    char reason[DEPLOYMENT_REASON_BYTES] = "";
    char what[160];
    snprintf(what, sizeof(what), "upstream %s", up->name);
    if (!check_url(d, what, up)) {
        return;
    }
    quick.connect_timeout_ms = at_most(up->connect_timeout_ms);
    quick.first_byte_timeout_ms = at_most(up->first_byte_timeout_ms);
    quick.idle_timeout_ms = at_most(up->idle_timeout_ms);
    quick.total_timeout_ms = at_most(up->total_timeout_ms);
    enum err e = upstream_trust_open_alone(&quick, reason, &deployment);
    if (e != ERR_OK) {
        doctor_say(d, DOCTOR_FAIL, what, "%s — correct it in the configuration",
                   reason[0] != '\0' ? reason : err_sentence(e));
        return;
    }
    buf_init(&a.list, LIST_BYTES_MAX);
    ask(d, what, up, pool, &a, deployment);
    if (!deployment->https && up->api_key.text != NULL && !is_loopback(deployment)) {
        doctor_say(
            d, DOCTOR_WARN, what,
            "its key and all prompts travel unencrypted to %s — use https unless the network "
            "is closed",
            deployment->host);
    }
    buf_fini(&a.list);
    deployment_unref(&deployment);
}

void doctor_check_upstreams(struct doctor *d)
{
    struct net_loop *loop = NULL;
    struct net_resolver *resolver = NULL;
    struct upstream_pool *pool = NULL;
    enum err e = net_loop_open(&loop);
    if (e == ERR_OK) {
        e = net_resolver_open(&d->settings->dns, &resolver);
    }
    if (e == ERR_OK) {
        e = upstream_pool_open(loop, resolver, &pool);
    }
    if (e != ERR_OK) {
        doctor_say(d, DOCTOR_FAIL, "upstreams", "cannot be asked: %s", err_sentence(e));
    }
    for (size_t i = 0; e == ERR_OK && i < d->settings->upstream.definitions_count; i++) {
        check_upstream(d, &d->settings->upstream.definitions[i], loop, pool);
    }
    upstream_pool_close(&pool);
    net_resolver_close(&resolver);
    net_loop_close(&loop);
}
