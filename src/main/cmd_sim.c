/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas sim`: the simulated model server, until it is told to stop. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/counter.h"
#include "cli/cli_options.h"
#include "main/commands.h"
#include "net/net_listen.h"
#include "net/net_loop.h"
#include "net/net_signal.h"
#include "sim/sim.h"

#define FIELDS_MAX 32

static void on_stop(void *ctx, int number)
{
    (void)number;
    net_loop_stop(ctx);
}

static int serve(const char *address, const struct sim_plan *plan)
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
        e = sim_open(loop, fd, plan, &sim);
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
static void teach(void)
{
    printf("\nEach of these but --listen may also be asked for by a request, for itself:\n"
           "  X-Sim-Tokens: 5     as a header, to the simulator itself\n"
           "  \"sim\":{\"tokens\":5}  as a member of the body, through a gateway too\n"
           "What it does not know, or cannot be so, is answered 400 with a sentence.\n"
           "\nFaults, for --fault, X-Sim-Fault or \"sim\":{\"fault\":…}:\n");
    for (const struct sim_row *row = sim_plan_fault_rows(); row->name != NULL; row++) {
        printf("  %-14s %s\n", row->name, row->help);
    }
    printf("\nIt answers POST /v1/chat/completions, /v1/completions, /v1/embeddings, and GET\n"
           "  /v1/models, /health\n"
           "  /metrics       Requests and tokens, in vLLM's names\n"
           "  /sim/counters  What it saw: connections, calls, finished, aborted by the caller\n"
           "  /sim/calls     A line a call id (X-Request-Id): attempts, finished, aborted\n"
           "  /sim/last      The last request as it came, head and body\n"
           "\nTry:\n"
           "  atlas sim --first-token-ms 200 --tokens-per-second 30 --tokens 100\n"
           "  curl -sN http://127.0.0.1:18080/v1/chat/completions \\\n"
           "    -d "
           "'{\"model\":\"m\",\"stream\":true,\"messages\":[],\"sim\":{\"fault\":\"reset\",\"at\":"
           "900}}'\n");
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

int main_sim(int argc, char **argv)
{
    const char *listen = "127.0.0.1:18080";
    const char *fault = "none";
    const char *values[FIELDS_MAX] = {NULL};
    struct cli_option options[FIELDS_MAX + 2] = {
        {"listen", "ADDRESS", "Where to answer (127.0.0.1:18080)", .text = &listen},
        {"fault", "NAME", "What goes wrong in every answer; see below", .text = &fault},
    };
    static char names[FIELDS_MAX][32];
    const struct sim_row *rows = sim_plan_field_rows();
    size_t count = 0;
    for (; rows[count].name != NULL; count++) {
        CHECK(count < FIELDS_MAX);
        span_copy_text(span_of(rows[count].name), names[count], sizeof(names[count]));
        for (char *c = names[count]; *c != '\0'; c++) {
            *c = *c == '_' ? '-' : *c;
        }
        options[count + 2] = (struct cli_option){names[count], rows[count].takes, rows[count].help,
                                                 .text = &values[count]};
    }
    int status =
        cli_options(argc, argv, "atlas sim [--listen ADDRESS] [options]", options, count + 2);
    if (status != CLI_GO_ON) {
        if (status == CLI_DONE) {
            teach();
        }
        return status;
    }
    struct sim_plan plan = sim_plan_default();
    bool taken = set(&plan, "fault", fault);
    for (size_t i = 0; taken && i < count; i++) {
        taken = values[i] == NULL || set(&plan, rows[i].name, values[i]);
    }
    if (!taken) {
        return CLI_MISUSED;
    }
    raise_limits();
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal */
    counter_thread_start();
    return serve(listen, &plan);
}
