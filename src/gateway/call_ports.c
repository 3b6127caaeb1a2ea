/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/call_ports.h"

static const struct call_ports real = {
    .mono = clock_mono,
    .wall = clock_wall,
    .call_id = crypto_call_id_make,
    .defer = net_loop_defer,
    .client =
        {
            .attach = exchange_attach,
            .head = exchange_head,
            .body_length = exchange_body_length,
            .peer = exchange_peer,
            .proceed = exchange_continue,
            .pull = exchange_pull,
            .error = exchange_error,
            .put_head = exchange_put_head,
            .put = exchange_put,
            .waiting = exchange_waiting,
            .is_gone = exchange_is_gone,
            .sent = exchange_sent,
            .finish = exchange_finish,
            .cancel = exchange_cancel,
            .refuse = exchange_refuse,
        },
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
            .peer = attempt_peer,
            .close = attempt_close,
            .finish = attempt_finish,
        },
    .keys =
        {
            .check = keys_check,
            .recheck = keys_recheck,
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
