/* SPDX-License-Identifier: Apache-2.0 */
#include "main/main_subject.h"

#include <string.h>

#include "cli/cli_ask.h"
#include "main/key_id.h"
#include "json/json_value.h"

#define VALUES_MAX 4096
#define DEPTH_MAX  8
#define KINDS      6

struct kind {
    const char *name, *path, *given;
};

static void kinds_of(const struct main_given *g, struct kind out[KINDS])
{
    out[0] = (struct kind){"organisation", ADMIN_ORGANISATIONS_PATH, g->organisation};
    out[1] = (struct kind){"team", ADMIN_TEAMS_PATH, g->team};
    out[2] = (struct kind){"user", ADMIN_USERS_PATH, g->user};
    out[3] = (struct kind){"key", ADMIN_KEYS_PATH, g->key};
    out[4] = (struct kind){"plan", ADMIN_PLANS_PATH, g->plan};
    out[5] = (struct kind){"tag", NULL, g->of_tag};
}

bool main_subject_is_given(const struct main_given *given)
{
    struct kind kinds[KINDS];
    kinds_of(given, kinds);
    for (size_t i = 0; i < KINDS; i++) {
        if (kinds[i].given != NULL) {
            return true;
        }
    }
    return given->each != NULL;
}

/* Takes the id out of what the API shows. */
static int read_id(const struct main_act *act, struct span answer, char out[MAIN_SUBJECT_BYTES])
{
    struct json_index x;
    json_index_init(&x, VALUES_MAX, DEPTH_MAX);
    enum err e = json_index_parse_borrow(&x, answer);
    uint32_t id = e == ERR_OK ? json_find(&x, 0, SPAN("id")) : JSON_NONE;
    bool is_id = id != JSON_NONE && json_inside(&x, id).len < MAIN_SUBJECT_BYTES;
    if (is_id) {
        span_copy_text(json_inside(&x, id), out, MAIN_SUBJECT_BYTES);
    } else {
        fprintf(stderr, "atlas %s: the answer has no id\n", act->command);
    }
    json_index_fini(&x);
    return is_id ? CLI_GO_ON : CLI_FAILED;
}

/* Asks who it is. */
static int look_up(const struct main_act *act, const struct kind *kind,
                   char out[MAIN_SUBJECT_BYTES])
{
    char path[MAIN_NOUN_PATH_BYTES];
    struct buf answer;
    const struct main_noun noun = {.path = kind->path};
    const struct main_act asks = {.command = act->command, .noun = &noun, .given = act->given};
    int status = main_noun_path(&asks, kind->given, path);
    if (status != CLI_GO_ON) {
        return status;
    }
    const struct admin_request request = {.method = HTTP_GET, .path = span_of(path)};
    buf_init(&answer, CLI_ANSWER_MAX);
    status = cli_ask(act->command, act->given->config, &request, &answer);
    if (status == CLI_GO_ON) {
        status = read_id(act, buf_span(&answer), out);
    }
    buf_fini(&answer);
    return status;
}

static int refuse(const struct main_act *act, const char *why)
{
    fprintf(stderr, "atlas %s: %s\n", act->command, why);
    return CLI_MISUSED;
}

int main_subject_find(const struct main_act *act, bool takes_plans, struct main_subject *out)
{
    struct kind kinds[KINDS];
    const struct kind *meant = NULL;
    kinds_of(act->given, kinds);
    for (size_t i = 0; i < KINDS; i++) {
        if (kinds[i].given != NULL && meant != NULL) {
            return refuse(act, "it is of one alone: leave the others out");
        }
        meant = kinds[i].given != NULL ? &kinds[i] : meant;
    }
    if (meant == NULL) {
        return refuse(act, takes_plans
                               ? "say whose: --team, --user, --key, --organisation, --plan or --tag"
                               : "say whose: --team, --user, --key, --organisation or --tag");
    }
    out->kind = meant->name;
    out->each = act->given->each;
    if (out->each != NULL && strcmp(meant->name, "team") != 0) {
        return refuse(act, "--each goes with --team");
    }
    if (out->each != NULL && strcmp(out->each, "key") != 0 && strcmp(out->each, "user") != 0) {
        return refuse(act, "--each takes key or user");
    }
    if (meant->path == NULL) {
        snprintf(out->id, sizeof(out->id), "%s", meant->given); /* one too long is no tag */
        return CLI_GO_ON;
    }
    if (strcmp(meant->name, "key") != 0) {
        return look_up(act, meant, out->id);
    }
    return main_key_find(act->command, act->given->config, meant->given, MAIN_KEY_WORKS, out->id);
}
