/* SPDX-License-Identifier: Apache-2.0 */
/* Only the call that asks judges a scanner (call_scan.h): there is no breaker, and no probe. */
#include "policy/policy_scanner.h"

#define SLACK_MS         1000 /* by which the call that waits gives up first */
#define IDLE_CONNECTIONS 64
#define IDLE_MS          4000
#define WAITING_MOST     1024
#define ANSWER_BYTES     (INT64_C(1) << 20)

_Static_assert((int)UPSTREAM_CLEARED_PUBLIC == (int)GUARD_CLEARED_PUBLIC &&
                   (int)UPSTREAM_CLEARED_TOP_SECRET == (int)GUARD_CLEARED_TOP_SECRET,
               "both are classes of data, counted alike");

static struct upstream_definition definition_of(const struct guard_external_form *form)
{
    return (struct upstream_definition){
        .name = form->name,
        .kind = UPSTREAM_SCANNER,
        .url = form->url,
        .region = form->region,
        .zone = form->zone,
        .clearance = (enum upstream_clearance)form->clearance,
        .ca_file = form->ca_file,
        .connect_timeout_ms = form->timeout_ms + SLACK_MS,
        .first_byte_timeout_ms = form->timeout_ms + SLACK_MS,
        .idle_timeout_ms = form->timeout_ms + SLACK_MS,
        .total_timeout_ms = form->timeout_ms + SLACK_MS,
        .idle_connections_max = IDLE_CONNECTIONS,
        .idle_keep_ms = IDLE_MS,
        .queue_max = WAITING_MOST,
        .reply_bytes_max = ANSWER_BYTES,
    };
}

enum err policy_scanner_join(const struct policy_settings *settings,
                             const struct upstream_settings *upstreams, struct arena *arena,
                             struct upstream_settings *out)
{
    size_t own = upstreams->definitions_count, count = own + settings->guard.external_count;
    struct upstream_definition *all = arena_new(arena, count * sizeof(*all));
    if (all == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        all[i] =
            i < own ? upstreams->definitions[i] : definition_of(&settings->guard.external[i - own]);
    }
    *out = (struct upstream_settings){.definitions = all, .definitions_count = count};
    return ERR_OK;
}
