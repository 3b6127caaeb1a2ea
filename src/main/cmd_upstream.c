/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas upstream`: model servers as the running gateway sees them. */
#include <stdio.h>

#include "main/commands.h"
#include "main/main_noun.h"

static const struct main_noun upstreams = {ADMIN_UPSTREAMS_PATH, ADMIN_OBJECT_model_server,
                                           "the configuration has no upstreams"};

#define AN_UPSTREAM \
    CLI_WORD(struct main_given, id, "NAME", "The upstream's name in the configuration")

const struct cli_option main_upstream_list_options[] = {MAIN_JSON, MAIN_CONFIG, MAIN_END};
const struct cli_option main_upstream_show_options[] = {AN_UPSTREAM, MAIN_JSON, MAIN_CONFIG,
                                                        MAIN_END};
const struct cli_option main_upstream_drain_options[] = {AN_UPSTREAM, MAIN_JSON, MAIN_CONFIG,
                                                         MAIN_END};
const struct cli_option main_upstream_undrain_options[] = {AN_UPSTREAM, MAIN_JSON, MAIN_CONFIG,
                                                           MAIN_END};

MAIN_ACT(main_upstream_list, "upstream list", upstreams, list)
MAIN_ACT(main_upstream_show, "upstream show", upstreams, show)

static int set(const struct main_act *act, const char *verb)
{
    char path[MAIN_NOUN_PATH_BYTES], whole[MAIN_NOUN_PATH_BYTES + 16];
    int status = main_noun_path(act, act->given->id, path);
    if (status != CLI_GO_ON) {
        return status;
    }
    (void)snprintf(whole, sizeof(whole), "%s/%s", path, verb); /* fits */
    return main_noun_ask(act, HTTP_POST, span_of(whole), SPAN(""));
}

int main_upstream_drain(const void *given)
{
    const struct main_act act = {"upstream drain", &upstreams, main_upstream_drain_options, given};
    return set(&act, "drain");
}

int main_upstream_undrain(const void *given)
{
    const struct main_act act = {"upstream undrain", &upstreams, main_upstream_undrain_options,
                                 given};
    return set(&act, "undrain");
}
