/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intent before egress: no try starts before its intent is in the journal's hands, and one that
 * leaves the home region not before the intent is on the disk. The completion's slot is taken
 * first, so that what was begun can always be ended in writing; the attempt is prepared first, so
 * that only a try that ends while it waits for the disk has an intent and was never started. The
 * completion says so: it counts the tries that were sent.
 */
#include "base/histogram.h"
#include "call/call_internal.h"

#define WAIT_MAX_MS 10000 /* for the journal; a client waits longer for most answers */

/* Takes both slots or none: calls that each held one and waited for the other would wait for ever.
 * The intent's; and that in which the try's end will be written down: the first one's is the call's
 * completion as well. */
static enum err take_slots(struct call_try *t, struct journal_slot **intent)
{
    struct call *call = t->call;
    const struct call_ports *ports = call->shared->ports;
    struct journal_lane *lane = call->shared->lane;
    struct journal_slot **end = call->completion == NULL ? &call->completion : &t->end;
    enum err e = ports->journal.take(lane, end);
    if (e != ERR_OK) {
        return e;
    }
    e = ports->journal.take(lane, intent);
    if (e != ERR_OK) {
        ports->journal.give_back(lane, *end);
        *end = NULL;
    }
    return e;
}

/* Leaves an end that says "interrupted", should the process die behind the intent. */
static void arm_end(struct call_try *t)
{
    struct call *call = t->call;
    const struct call_ports *ports = call->shared->ports;
    bool is_first = t->end == NULL;
    struct journal_slot *end = is_first ? call->completion : t->end;
    call_fill_held(t, is_first ? JOURNAL_COMPLETION : JOURNAL_TRY_END, ports->journal.record(end));
    ports->journal.arm(call->shared->lane, end);
}

/* Writes the intent. */
static enum err write_intent(struct call_try *t)
{
    struct call *call = t->call;
    const struct call_ports *ports = call->shared->ports;
    struct journal_slot *intent;
    enum err e = take_slots(t, &intent);
    if (e != ERR_OK) {
        return e;
    }
    t->number = ++call->tries_recorded;
    t->began = ports->wall();
    arm_end(t);
    struct journal_record *r = ports->journal.record(intent);
    call_fill_record(call, t, r);
    r->attempt_ms = t->began.us / 1000;
    journal_record_set(r, JOURNAL_TEXT_FACTS, t->number == 1 ? call->facts : SPAN(""));
    r->kind = JOURNAL_INTENT;
    t->intent_ticket = ports->journal.publish(call->shared->lane, intent);
    r = ports->journal.record(call->completion);
    r->attempt = (uint8_t)call->tries_recorded; /* few: a candidate is asked thrice at most */
    r->attempts_sent = call_count_sent_at_most(call);
    return ERR_OK;
}

enum err call_try_set_due(struct call_try *t, int64_t ms)
{
    const struct call_ports *ports = t->call->shared->ports;
    ports->timer.fini(&t->timer);
    t->is_due = false;
    return ms == 0 ? ERR_OK : ports->timer.set(&t->timer, clock_after_ms(ports->mono(), ms));
}

/* Waits for the journal: no call ends because the disk was busy for a moment. */
static enum call_try_state wait(struct call_try *t)
{
    struct call_shared *shared = t->call->shared;
    const struct call_ports *ports = shared->ports;
    enum err trouble = ports->journal.trouble(shared->lane);
    if (trouble != ERR_OK) { /* it would wait for as long as the disk is full */
        return call_try_fail(t, trouble);
    }
    if (t->is_due) {
        return call_try_fail(t, ERR_JOURNAL_FULL);
    }
    enum err e = t->is_waiting ? ERR_OK : call_try_set_due(t, WAIT_MAX_MS);
    if (e != ERR_OK) {
        return call_try_fail(t, e);
    }
    t->is_waiting = true;
    list_push_back(&shared->undurable, &t->undurable);
    return t->state;
}

enum call_try_state call_try_step_slots(struct call_try *t)
{
    const struct call_shared *shared = t->call->shared;
    enum err e;
    while ((e = write_intent(t)) == ERR_JOURNAL_FULL) {
        if (!shared->ports->journal.await_slots(shared->lane)) {
            return wait(t);
        }
    }
    return e == ERR_OK ? CALL_TRY_DURABLE : call_try_fail(t, e);
}

/* How long it may take before another is tried beside it; 0: for ever. */
static int64_t hedge_after_ms(const struct call *call)
{
    return call->candidate_next < call->decision.count
               ? call->decision.candidates[call->candidate_next].hedge_after_ms
               : 0;
}

/* Both records say it in both ways: either may become the other kind, and the process die when that
 * is stored and the numbers behind it are not. */
static void note_sent(const struct call_try *t)
{
    const struct call *call = t->call;
    const struct call_ports *ports = call->shared->ports;
    struct journal_record *completion = ports->journal.record(call->completion);
    struct journal_record *end = t->end == NULL ? completion : ports->journal.record(t->end);
    completion->attempts_sent = end->attempts_sent = call_count_sent_at_most(call);
    end->sent = 1;
}

/* A process that dies from here on may have sent it. */
static enum err start(struct call_try *t)
{
    struct call *call = t->call;
    const struct call_ports *ports = call->shared->ports;
    enum err e = t->is_waiting || hedge_after_ms(call) > 0
                     ? call_try_set_due(t, hedge_after_ms(call))
                     : ERR_OK;
    if (e != ERR_OK) {
        return e;
    }
    bool is_first = call->tries_begun == 0;
    if (is_first && call->shadow == NULL) {
        histogram_add(HISTOGRAM_OVERHEAD, clock_since(call->started, ports->mono()));
    }
    call->tries_begun++;
    t->is_started = true;
    note_sent(t);
    ports->attempt.start(t->attempt);
    if (is_first) {
        call_shadow_begin(call, t->body);
    }
    return ERR_OK;
}

enum call_try_state call_try_step_durable(struct call_try *t)
{
    const struct call_shared *shared = t->call->shared;
    if (t->candidate->match.place->is_abroad &&
        !shared->ports->journal.await(shared->lane, t->intent_ticket)) {
        return wait(t);
    }
    enum err e = start(t);
    return e == ERR_OK ? CALL_TRY_RUN : call_try_fail(t, e);
}
