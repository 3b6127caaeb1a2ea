/* SPDX-License-Identifier: Apache-2.0 */
/* world_journal.h — the journal of world.h: a few slots, which look at what is written into them.
 */
#ifndef TESTS_CALL_WORLD_JOURNAL_H
#define TESTS_CALL_WORLD_JOURNAL_H

#include "world.h"

/* What would be found if the process died now: as many ends as intents, of which one is the call's
 * completion, or the journal makes it of one that is armed. */
static inline void expect_an_end_for_each_intent(const struct world *w)
{
    unsigned completions = w->completions, armed = 0;
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        const struct journal_slot *slot = &w->slots[i];
        if (slot->is_taken && slot->is_armed && slot->intent <= w->ticket) {
            armed++;
            completions += slot->record.kind == JOURNAL_COMPLETION;
        }
    }
    if (w->intents > 0 && w->calls <= 1) {
        assert_int_equal(w->try_ends + w->completions + armed, w->intents);
        assert_true(completions == 1 || (completions == 0 && armed > 0));
    }
}

static inline enum err slot_take(struct journal_lane *lane, struct journal_slot **out)
{
    (void)lane;
    struct world *w = world_now;
    if (w->slots_held >= w->slots_max) {
        return w->journal_error == ERR_OK ? ERR_JOURNAL_FULL : w->journal_error;
    }
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        if (!w->slots[i].is_taken) {
            w->slots[i] = (struct journal_slot){.is_taken = true};
            w->slots_held++;
            *out = &w->slots[i];
            return ERR_OK;
        }
    }
    fail_msg("a call takes more slots than there are");
    return ERR_JOURNAL_FULL;
}

static inline struct journal_record *slot_record(struct journal_slot *slot)
{
    assert_true(slot->is_taken);
    expect_an_end_for_each_intent(world_now);
    return &slot->record;
}

static inline void slot_arm(const struct journal_lane *lane, struct journal_slot *slot)
{
    (void)lane;
    assert_true(slot->is_taken && !slot->is_armed);
    slot->intent = world_now->ticket + 1;
    assert_true(slot->record.outcome == JOURNAL_OUTCOME_INTERRUPTED &&
                journal_record_is_valid(&slot->record, SPAN("")));
    slot->is_armed = true;
    world_now->arms += slot->record.kind == JOURNAL_COMPLETION;
}

static inline uint64_t slot_publish(struct journal_lane *lane, struct journal_slot *slot)
{
    (void)lane;
    struct world *w = world_now;
    expect_an_end_for_each_intent(w);
    assert_true(slot->is_taken && journal_record_is_valid(&slot->record, SPAN("")));
    if (slot->record.kind == JOURNAL_INTENT) {
        assert_false(slot->is_armed);
        w->intents++;
        w->intent = slot->record;
    } else if (slot->record.kind == JOURNAL_TRY_END) {
        assert_int_equal(w->completions, 0);
        w->lost[w->try_ends++] = slot->record;
    } else {
        assert_int_equal(slot->record.kind, JOURNAL_COMPLETION);
        w->completions++;
        w->completion = slot->record;
    }
    slot->is_taken = false;
    w->slots_held--;
    w->ticket++;
    expect_an_end_for_each_intent(w);
    return w->ticket;
}

static inline void slot_give_back(struct journal_lane *lane, struct journal_slot *slot)
{
    (void)lane;
    assert_true(slot->is_taken && !slot->is_armed);
    slot->is_taken = false;
    world_now->slots_held--;
}

static inline bool slot_await(struct journal_lane *lane, uint64_t ticket)
{
    (void)lane;
    return ticket <= world_now->durable;
}

static inline bool slot_await_slots(struct journal_lane *lane)
{
    (void)lane;
    return world_now->slots_held + 2 <= world_now->slots_max;
}

static inline enum err slot_trouble(const struct journal_lane *lane)
{
    (void)lane;
    return world_now->trouble;
}

#endif
