/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault SCENARIO [REPORT [CASE [KIND [N]]]] — runs the scenario's cases (those whose names hold
 * CASE, KIND only, the N-th call only) and adds a JUnit test case for each of them and kind to
 * REPORT. Ends with 1 when something was wrong.
 */
#include "fault.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/log.h"

#define WRONG_MAX   5 /* then the rest of the case is left */
#define RUN_LIMIT_S 60
#define AT_MAX      20000

static struct world world;
static struct {
    const struct fault_scenario *scenario;
    const struct fault_case *fault;
    enum inject_kind kind;
    bool on;
    long at, hits;
    int wrong;
    long log_from;
    char first[640]; /* the first thing that was wrong */
} now;

enum inject_kind fault_kind(void)
{
    return now.kind;
}

long fault_at(void)
{
    return now.at;
}

long fault_hits(void)
{
    return now.hits;
}

const char *fault_log(void)
{
    return world_log(&world, now.log_from);
}

static void print_log(void)
{
    char line[1024];
    FILE *f = fopen(world.log, "r");
    if (f == NULL || fseek(f, now.log_from, SEEK_SET) != 0) {
        return;
    }
    for (int i = 0; i < 20 && fgets(line, sizeof(line), f) != NULL; i++) {
        (void)fprintf(stderr, "    log: %.*s\n", (int)strcspn(line, "\n"), line);
    }
    (void)fclose(f);
}

static void print_place(void)
{
    (void)fprintf(stderr, "in %s/%s: ", now.scenario == NULL ? "" : now.scenario->name,
                  now.fault == NULL ? "" : now.fault->name);
    inject_say();
    print_log();
}

void fault_wrong(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (now.wrong++ == 0) {
        (void)snprintf(now.first, sizeof(now.first), "%s %ld%s: %s", inject_name(now.kind), now.at,
                       now.on ? " and on" : "", text);
    }
    (void)fprintf(stderr, "WRONG %s %ld%s: %s\n", inject_name(now.kind), now.at,
                  now.on ? " and on" : "", text);
    print_place();
}

/* Which error may be told for what was injected. */
static bool is_right(int status, const char *code)
{
    static const struct {
        unsigned kinds;
        int status;
        const char *code;
    } rows[] = {
        {FAULT_KIND(MALLOC) | FAULT_KIND(WRITE) | FAULT_KIND(READ) | FAULT_KIND(SYNC) |
             FAULT_KIND(SPACE) | FAULT_KIND(SQL) | FAULT_KIND(SYSTEM),
         503, "overloaded"},
        {FAULT_KIND(READ) | FAULT_KIND(WRITE) | FAULT_KIND(CONNECT) | FAULT_KIND(SYSTEM), 502,
         "upstream_error"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if ((rows[i].kinds & (1u << now.kind)) != 0 && rows[i].status == status &&
            strcmp(rows[i].code, code) == 0) {
            return true;
        }
    }
    return false;
}

void fault_check_error(struct peer_reply *r)
{
    char value[256], code[64] = "";
    const char *at = strstr(r->body, "\"code\":\"");
    if (at != NULL) {
        (void)sscanf(at, "\"code\":\"%63[^\"]\"", code);
    }
    if (strncmp(r->body, "{\"error\":{\"message\":\"", 21) != 0 ||
        strstr(r->body, "\"type\":\"") == NULL || strstr(r->body, "\"param\":") == NULL ||
        r->body[r->body_len - 1] != '}') {
        fault_wrong("status %d is not told in OpenAI's form: %s", r->status, r->raw);
    } else if (!is_right(r->status, code)) {
        fault_wrong("status %d %s is not what this failure is: %s", r->status, code, r->raw);
    } else if (peer_header(r, "x-request-id", value) == NULL) {
        fault_wrong("an error without x-request-id: %s", r->raw);
    } else if (r->status == 503 && peer_header(r, "retry-after", value) == NULL) {
        fault_wrong("a 503 without Retry-After: %s", r->raw);
    }
}

void fault_check_call(struct world *w)
{
    static struct peer_reply reply;
    static const char body[] =
        "{\"model\":\"close\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}";
    const struct peer_request request = {
        .method = "POST", .path = "/v1/chat/completions", .key = w->key, .body = body};
    world_call(w, &request, &reply);
    if (reply.end != PEER_WHOLE || reply.status != 200 ||
        strstr(reply.body, "\"content\":\"" PEER_TEXT "\"") == NULL) {
        fault_wrong("afterwards a call fails: end %d, %s", (int)reply.end, reply.raw);
    }
    world_settle(w);
}

static void on_alarm(int number)
{
    (void)number;
    (void)fprintf(stderr, "a run took longer than %d s\n", RUN_LIMIT_S);
    abort();
}

void __sanitizer_set_death_callback(void (*on_death)(void));

/* Only what is safe in a process that dies. */
static void on_death(void)
{
    (void)fprintf(stderr, "died in %s/%s: %s %ld%s\n",
                  now.scenario == NULL ? "" : now.scenario->name,
                  now.fault == NULL ? "" : now.fault->name, inject_name(now.kind), now.at,
                  now.on ? " and on" : "");
    print_log();
}

static long log_size(void)
{
    FILE *f = fopen(world.log, "r");
    long size = f != NULL && fseek(f, 0, SEEK_END) == 0 ? ftell(f) : 0;
    if (f != NULL) {
        (void)fclose(f);
    }
    return size;
}

static void run_once(const struct fault_case *c)
{
    now.log_from = log_size();
    now.hits = 0;
    (void)alarm(RUN_LIMIT_S);
    if (c->prepare != NULL) {
        c->prepare(&world, c);
    }
    now.log_from = log_size(); /* what was said while it was prepared is not of it */
    inject_arm(now.kind, now.at, now.on);
    c->run(&world, c);
    now.hits = inject_disarm();
    c->check(&world, c);
    (void)alarm(0);
}

/* Every n; how many calls were made to fail. */
static long run_all(const struct fault_case *c, long only)
{
    long injected = 0;
    for (now.at = only > 0 ? only : 1; now.wrong < WRONG_MAX; now.at++) {
        if (now.at > AT_MAX) {
            fault_wrong("it never ends");
            break;
        }
        run_once(c);
        if (only > 0) {
            print_place();
        }
        injected += now.hits > 0;
        if (now.hits == 0 || only > 0) {
            break;
        }
    }
    return injected;
}

static void report(FILE *out, long injected, double seconds)
{
    char text[sizeof(now.first)];
    size_t len = 0;
    (void)printf("  %-4s %s/%s/%s%s: %ld failures, %.1f s\n", now.wrong == 0 ? "ok" : "FAIL",
                 now.scenario->name, now.fault->name, inject_name(now.kind), now.on ? "/on" : "",
                 injected, seconds);
    (void)fflush(stdout);
    if (out == NULL) {
        return;
    }
    for (const char *c = now.first; *c != '\0'; c++) {
        text[len++] = *c == '<' || *c == '&' || *c == '"' || *c < ' ' ? ' ' : *c;
    }
    text[len] = '\0';
    (void)fprintf(out,
                  "<testcase classname=\"fault.%s\" name=\"%s: %s%s, %ld failures\" "
                  "time=\"%.3f\">",
                  now.scenario->name, now.fault->name, inject_name(now.kind),
                  now.on ? " from then on" : "", injected, seconds);
    if (now.wrong > 0) {
        (void)fprintf(out, "<failure message=\"%s\"/>", text);
    }
    (void)fprintf(out, "</testcase>\n");
    (void)fflush(out);
}

struct choice {
    const char *name, *kind;
    long at;
};

static bool is_chosen(const struct fault_case *c, const struct choice *choice)
{
    return (c->kinds & (1u << now.kind)) != 0 &&
           (choice->kind == NULL || strcmp(choice->kind, inject_name(now.kind)) == 0) &&
           (choice->name == NULL || strstr(c->name, choice->name) != NULL);
}

static int run_scenario(const struct fault_scenario *s, FILE *out, const struct choice *choice)
{
    int failed = 0;
    long total = 0;
    now.scenario = s;
    s->open(&world);
    for (const struct fault_case *c = s->cases; c->name != NULL; c++) {
        now.fault = c;
        for (int i = 2; i < 2 * INJECT_KINDS; i++) {
            mono_us began = clock_mono();
            now.kind = (enum inject_kind)(i / 2);
            now.on = i % 2 != 0;
            now.wrong = 0;
            now.first[0] = '\0';
            if (!is_chosen(c, choice)) {
                continue;
            }
            long injected = run_all(c, choice->at);
            report(out, injected, (double)clock_since(began, clock_mono()) / 1e6);
            failed += now.wrong > 0;
            total += injected;
        }
    }
    static const struct fault_case end = {.name = "at the end"};
    now.fault = &end;
    now.kind = INJECT_NOTHING;
    now.wrong = 0;
    s->close(&world);
    report(out, 0, 0);
    (void)printf("%s: %ld failures injected\n", s->name, total);
    return failed + (now.wrong > 0);
}

int main(int argc, char **argv)
{
    static const struct fault_scenario *const scenarios[] = {
        &fault_start, &fault_chat, &fault_stream, &fault_embeddings, &fault_reload, &fault_key};
    const struct choice choice = {argc > 3 && argv[3][0] != '\0' ? argv[3] : NULL,
                                  argc > 4 && argv[4][0] != '\0' ? argv[4] : NULL,
                                  argc > 5 ? strtol(argv[5], NULL, 10) : 0};
    (void)inject_exempt(true);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGALRM, on_alarm);
    __sanitizer_set_death_callback(on_death);
    counter_thread_start();
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (argc > 1 && strcmp(argv[1], scenarios[i]->name) == 0) {
            FILE *out = argc > 2 && argv[2][0] != '\0' ? fopen(argv[2], "w") : NULL;
            world_make(&world, strcmp(argv[1], "reload") == 0 ? 2 : 1);
            if (log_open(world.log) != ERR_OK) {
                return 2;
            }
            int failed = run_scenario(scenarios[i], out, &choice);
            world_remove(&world);
            if (out != NULL) {
                (void)fclose(out);
            }
            return failed > 0;
        }
    }
    (void)fprintf(stderr, "usage: fault SCENARIO [REPORT [CASE [KIND [N]]]]\n");
    return 2;
}
