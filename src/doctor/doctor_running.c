/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only the running gateway knows: which of its additions to a request (enum upstream_addition)
 * a model server was seen to refuse. Where none runs there is nothing to say.
 */
#include "doctor/doctor_internal.h"

#include "admin/admin_operations.h"
#include "cli/cli_admin.h"
#include "cli/cli_data.h"
#include "upstream/deployment.h"
#include "json/json_value.h"

#define ANSWER_MAX (16u << 20)
#define ROWS_MAX   (1u << 20)
#define WAIT_MS    2000

static const struct upstream_definition *find_upstream(const struct doctor *d,
                                                       const struct json_index *x, uint32_t name)
{
    const struct upstream_settings *s = &d->settings->upstream;
    for (size_t i = 0; name != JSON_NONE && i < s->definitions_count; i++) {
        if (json_kind(x, name) == JSON_STRING &&
            json_text_is(x, name, span_of(s->definitions[i].name))) {
            return &s->definitions[i];
        }
    }
    return NULL;
}

/* One upstream of the gateway's answer: news is what `omit:` does not say yet. */
static void say_refused(struct doctor *d, const struct json_index *x, uint32_t row)
{
    const struct upstream_definition *up = find_upstream(d, x, json_find(x, row, SPAN("name")));
    uint32_t omits = json_find(x, row, SPAN("omits"));
    char what[160];
    if (up == NULL || omits == JSON_NONE || json_kind(x, omits) != JSON_STRING ||
        span_is(json_inside(x, omits), deployment_omits_text(up->omit))) {
        return;
    }
    snprintf(what, sizeof(what), "upstream %s", up->name);
    doctor_say(d, DOCTOR_WARN, what,
               "it refused what Atlas adds to a request, and is asked without %.*s since then — "
               "`omit: [%.*s]` spares the first call after a start its second asking",
               SPAN_ARGS(json_inside(x, omits)), SPAN_ARGS(json_inside(x, omits)));
}

static void say_all(struct doctor *d, struct span answer)
{
    struct json_index x;
    json_index_init(&x, ROWS_MAX, 8);
    uint32_t list = JSON_NONE;
    if (json_index_parse_borrow(&x, answer) == ERR_OK) {
        list = json_find(&x, 0, SPAN("upstreams"));
    }
    uint32_t row = list == JSON_NONE ? JSON_NONE : json_first(&x, list);
    for (; row != JSON_NONE; row = json_next(&x, row)) {
        say_refused(d, &x, row);
    }
    json_index_fini(&x);
}

void doctor_check_running(struct doctor *d)
{
    const struct admin_request request = {.method = HTTP_GET, .path = SPAN(ADMIN_STATUS_PATH)};
    struct cli_admin_reply reply = {0};
    struct buf answer;
    char path[CLI_PATH_MAX];
    buf_init(&answer, ANSWER_MAX);
    if (cli_data_path(d->settings->data, CLI_SOCKET_FILE, path) == ERR_OK &&
        cli_admin_call(path, &request, WAIT_MS, &answer, &reply) == ERR_OK && reply.status == 200) {
        say_all(d, buf_span(&answer));
    }
    buf_fini(&answer);
}
