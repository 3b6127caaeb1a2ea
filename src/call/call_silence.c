/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream that says nothing. Models think for minutes, and load balancers cut connections that are
 * silent for one: so a stream's head goes out after the policy's hold even if nothing came yet, and
 * a comment follows whenever nothing was put for the ping's interval. No client shows comments.
 *
 * Nothing is noted as events pass, so that they cost no more than before: the timer looks twice an
 * interval whether bytes were put since its last look. After bytes one quiet look is enough, for
 * the silence may be as old as the look before it; after a ping it takes two.
 */
#include "call/call_internal.h"

#define LOOKS_AN_INTERVAL 2

static mono_us next_look(const struct call *call, mono_us now)
{
    int64_t ping_ms = call->policy->ping_interval_ms;
    mono_us look = {now.us + ping_ms * 1000 / LOOKS_AN_INTERVAL};
    bool holds = !call->answer.head_put && call->answer.head_due.us < look.us &&
                 call->answer.head_due.us > now.us;
    return holds ? call->answer.head_due : look;
}

static bool is_silent(struct call *call, mono_us now)
{
    if (!call->answer.head_put) {
        return now.us >= call->answer.head_due.us;
    }
    if (call->answer.bytes != call->answer.silent_bytes) {
        call->answer.silent_bytes = call->answer.bytes;
        call->answer.quiet_looks = 0;
        return false;
    }
    return ++call->answer.quiet_looks > 0;
}

static void ping(struct call *call)
{
    struct span text = SPAN(": ping\n\n");
    struct iovec piece = {(void *)(uintptr_t)text.at, text.len};
    if (call->by->is_gone(call->client) || call->by->waiting(call->client) > 0 ||
        call->answer.is_inside) {
        return; /* nobody is there, or has not even taken what was put; or there is no place */
    }
    enum err e = call_answer_put_stream_head(call);
    if (e != ERR_OK) {
        (void)call_fail(call, e); /* on_look() leaves the state */
        return;
    }
    call_answer_put(call, &piece, 1);
    call->answer.silent_bytes = call->answer.bytes;
    call->answer.quiet_looks = 1 - LOOKS_AN_INTERVAL;
}

static void on_look(struct net_timer *timer)
{
    struct call *call =
        (struct call *)(void *)((char *)timer - offsetof(struct call, answer.silence));
    CHECK(call->magic == CALL_MAGIC);
    const struct call_ports *ports = call->shared->ports;
    mono_us now = ports->mono();
    if (is_silent(call, now)) {
        ping(call);
    }
    enum err e = call->error;
    if (e == ERR_OK) {
        e = ports->timer.set(timer, next_look(call, now));
    }
    if (e != ERR_OK) {
        (void)call_fail(call, e); /* the step that it waits in leaves the state */
        call_on_event(call);
    }
}

enum err call_watch_silence(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    mono_us now = ports->mono();
    net_timer_init(&call->answer.silence, call->shared->loop, on_look);
    call->answer.head_due = clock_after_ms(now, call->policy->stream_head_hold_ms);
    return ports->timer.set(&call->answer.silence, next_look(call, now));
}
