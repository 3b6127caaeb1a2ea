/* SPDX-License-Identifier: Apache-2.0 */
#include "call/call_ports.h"

/* The one model of that name. */
static size_t route(const struct policy *policy, struct span name,
                    struct decision_candidate out[DECISION_CANDIDATES])
{
    if (!policy_find(policy, name, &out[0].match)) {
        return 0;
    }
    out[0].score = out[0].hedge_after_ms = 0;
    out[0].price = NULL;
    out[0].why = "direct";
    return 1;
}

static const struct call_ports real = {
    .route = route,
    .mono = clock_mono,
    .wall = clock_wall,
    .call_id = crypto_call_id_make,
    .defer = net_loop_defer,
    .undefer = net_loop_undefer,
    .share = net_loop_share,
    .timer =
        {
            .set = net_timer_set,
            .fini = net_timer_fini,
        },
    .client = &call_client_exchange,
    .attempt =
        {
            .prepare = attempt_prepare,
            .start = attempt_start,
            .state = attempt_state,
            .error = attempt_error,
            .head = attempt_head,
            .pull = attempt_pull,
            .has_sent = attempt_has_sent,
            .first_byte = attempt_first_byte,
            .served_us = attempt_served_us,
            .blame = attempt_blame,
            .peer = attempt_peer,
            .problem = attempt_problem,
            .close = attempt_close,
            .finish = attempt_finish,
        },
    .keys =
        {
            .check = keys_check,
            .recheck = keys_recheck,
            .note = keys_note_use,
        },
    .access =
        {
            .look = access_look,
            .permits = access_permits,
            .place = access_place_of,
            .guard = access_guard_of,
            .admits = access_admits,
            .take = limits_admit,
            .reserve = limits_reserve,
            .extend = limits_extend,
            .settle = limits_settle,
        },
    .journal =
        {
            .take = journal_take,
            .record = journal_slot_record,
            .arm = journal_arm,
            .publish = journal_publish,
            .give_back = journal_give_back,
            .await = journal_await,
            .await_slots = journal_await_slots,
            .trouble = journal_trouble,
        },
};

const struct call_ports *call_ports_real(void)
{
    return &real;
}
