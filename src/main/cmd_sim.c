/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas sim`: the simulated model server, until it is told to stop. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/counter.h"
#include "main/commands.h"
#include "net/net_listen.h"
#include "net/net_loop.h"
#include "net/net_signal.h"
#include "sim/sim.h"

static void on_stop(void *ctx, int number)
{
    (void)number;
    net_loop_stop(ctx);
}

static int serve(const char *address, const struct sim_plan *plan, enum sim_metrics metrics)
{
    struct net_address bound;
    struct net_loop *loop = NULL;
    struct sim *sim = NULL;
    struct net_signal *stops[2] = {NULL, NULL};
    char text[128];
    int fd;
    if (net_address_parse(address, &bound) != ERR_OK ||
        net_listen_fd(&bound, false, &fd) != ERR_OK) {
        fprintf(stderr, "atlas sim: %s cannot be listened on; is it in use?\n", address);
        return CLI_FAILED;
    }
    bound.len = sizeof(bound.storage);
    CHECK(getsockname(fd, (struct sockaddr *)&bound.storage, &bound.len) == 0);
    enum err e = net_loop_open(&loop);
    if (e == ERR_OK) {
        e = sim_open(loop, fd, plan, metrics, &sim);
    }
    if (e == ERR_OK) {
        e = net_signal_open(loop, SIGTERM, on_stop, loop, &stops[0]);
    }
    if (e == ERR_OK) {
        e = net_signal_open(loop, SIGINT, on_stop, loop, &stops[1]);
    }
    if (e == ERR_OK) {
        net_address_text(&bound, text, sizeof(text));
        printf("atlas sim: a simulator, not a model, on http://%s/v1\n", text);
        (void)fflush(stdout); /* whoever waits for the line may be gone */
        net_loop_run(loop);
    } else {
        fprintf(stderr, "atlas sim: %s\n", err_sentence(e));
    }
    net_signal_close(&stops[0]);
    net_signal_close(&stops[1]);
    sim_close(&sim);
    net_loop_close(&loop);
    return e == ERR_OK ? CLI_DONE : CLI_FAILED;
}

/* Below the options. */
static void teach(FILE *out)
{
    fprintf(out, "Each but --listen and --metrics may also be asked for by a request, for itself:\n"
                 "  X-Sim-Tokens: 5     as a header, to the simulator itself\n"
                 "  \"sim\":{\"tokens\":5}  as a member of the body, through a gateway too\n"
                 "What it does not know, or cannot be so, is answered 400 with a sentence.\n"
                 "\nFaults, for --fault, X-Sim-Fault or \"sim\":{\"fault\":…}:\n");
    for (const struct sim_row *row = sim_plan_fault_rows(); row->name != NULL; row++) {
        fprintf(out, "  %-14s %s\n", row->name, row->help);
    }
    fprintf(out,
            "\nIt answers POST /v1/chat/completions, /v1/completions, /v1/embeddings, and GET\n"
            "  /v1/models, /health\n"
            "  /metrics       Requests and tokens, in the names that --metrics chooses\n"
            "  /sim/counters  What it saw: connections, calls, finished, aborted by callers\n"
            "  /sim/calls     A line a call id (X-Request-Id): attempts, finished, aborted\n"
            "  /sim/last      The last request as it came, head and body\n"
            "\nTry:\n"
            "  atlas sim --first-token-ms 200 --tokens-per-second 30 --tokens 100\n"
            "  curl -sN http://127.0.0.1:18080/v1/chat/completions \\\n"
            "    -d '{\"model\":\"m\",\"stream\":true,\"messages\":[],\n"
            "         \"sim\":{\"fault\":\"reset\",\"at\":900}}'\n");
}

static void raise_limits(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* fewer streams then */
    }
}

/* Sets what an option asks for, or says why that cannot be. */
static bool set(struct sim_plan *plan, const char *name, const char *value)
{
    if (sim_plan_set(plan, span_of(name), span_of(value)) == ERR_OK) {
        return true;
    }
    struct buf why;
    buf_init(&why, 4096);
    sim_plan_explain(span_of(name), &why);
    fprintf(stderr, "atlas sim: '%s' is not valid: %.*s\n", value, (int)buf_span(&why).len,
            (const char *)buf_span(&why).at);
    buf_fini(&why);
    return false;
}

struct sim_given {
    const char *listen, *fault, *metrics;
#define FIELD(name, takes, fallback, least, most, help) const char *name;
#include "sim/sim_plan.def"
#undef FIELD
};

static const char fault_names[] =
#define FAULT(name, text, help) text " "
#include "sim/sim_plan.def"
#undef FAULT
    ;

const struct cli_option main_sim_options[] = {
    CLI_TEXT(struct sim_given, listen, "listen", "ADDRESS", "Where to answer",
             .fallback = "127.0.0.1:18080"),
    CLI_TEXT(struct sim_given, metrics, "metrics", "NAMES",
             "In whose names /metrics tells of it: vllm, sglang, llama.cpp, tgi; none: 404",
             .fallback = "vllm", .words = SIM_METRICS_WORDS),
    CLI_TEXT(struct sim_given, fault, "fault", "NAME", "What goes wrong in every answer; see below",
             .fallback = "none", .words = fault_names),
#define FIELD(name, takes, fallback, least, most, help) \
    CLI_TEXT(struct sim_given, name, #name, takes, help),
#include "sim/sim_plan.def"
#undef FIELD
    CLI_END(teach),
};

/* Sets all that the options ask for, or says what cannot be. */
static bool set_all(struct sim_plan *plan, const struct sim_given *g)
{
    const struct {
        const char *name, *value;
    } asked[] = {
        {"fault", g->fault},
#define FIELD(name, takes, fallback, least, most, help) {#name, g->name},
#include "sim/sim_plan.def"
#undef FIELD
    };
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        if (asked[i].value != NULL && !set(plan, asked[i].name, asked[i].value)) {
            return false;
        }
    }
    return true;
}

/* False: standard error says that there are no such names. */
static bool find_metrics(const char *name, enum sim_metrics *out)
{
    struct span words = SPAN(SIM_METRICS_WORDS);
    unsigned n = 0;
    for (size_t at = 0; at < words.len; n++) {
        size_t end = span_find(words, ' ', at);
        if (span_is(span_cut(words, at, end - at), name)) {
            *out = (enum sim_metrics)n;
            return true;
        }
        at = end + 1;
    }
    fprintf(stderr, "atlas sim: '%s' is not valid: --metrics takes one of " SIM_METRICS_WORDS "\n",
            name);
    return false;
}

int main_sim(const void *given)
{
    const struct sim_given *g = given;
    enum sim_metrics metrics;
    struct sim_plan plan = sim_plan_default();
    struct net_address unused;
    if (!set_all(&plan, g) || !find_metrics(g->metrics, &metrics)) {
        return CLI_MISUSED;
    }
    raise_limits();
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal */
    counter_thread_start();
    if (net_address_parse(g->listen, &unused) != ERR_OK) {
        fprintf(stderr,
                "atlas sim: --listen takes an address with its port, such as 127.0.0.1:18080 or "
                "127.0.0.1:0 for any free one, not '%s'\n",
                g->listen);
        return CLI_MISUSED;
    }
    return serve(g->listen, &plan, metrics);
}
