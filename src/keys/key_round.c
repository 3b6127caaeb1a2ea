/* SPDX-License-Identifier: Apache-2.0 */
#include "keys/key_round.h"

#define DAY_US (INT64_C(86400) * 1000000)

void key_round_begin(struct key_round *r, wall_us now)
{
    /* A clock that was set back tells a day twice rather than never. */
    wall_us from = r->to.us < now.us ? r->to : now;
    *r = (struct key_round){.from = from, .to = now};
}

/* How many days before `at` the last of the moments that are told has passed in this round; -1:
 * none has. */
static int passed(const struct key_round *r, int64_t at_us, bool tells_itself)
{
    static const int days[] = {0, 1, 3, KEY_ROUND_DAYS};
    for (size_t i = tells_itself ? 0 : 1; i < sizeof(days) / sizeof(days[0]); i++) {
        int64_t moment = at_us - days[i] * DAY_US;
        if (moment <= r->to.us) {
            return moment > r->from.us ? days[i] : -1;
        }
    }
    return -1;
}

static void warn(struct key_warning *out, const struct key_slot *slot, bool is_rotation, int days,
                 int64_t at_us)
{
    *out = (struct key_warning){
        .is_rotation = is_rotation, .days = days, .at = {at_us}, .since = {at_us - days * DAY_US}};
    memcpy(out->id, slot->id, KEY_ID_CHARS);
}

/* How many warnings there are of a key: two at most. */
static size_t look(struct key_round *r, const struct key_slot *slot, struct key_warning out[2])
{
    size_t count = 0;
    int64_t expires = atomic_load_explicit(&slot->expires_us, memory_order_relaxed);
    int64_t due = (int64_t)atomic_load_explicit(&slot->due_s, memory_order_relaxed) * 1000000;
    if (expires <= r->to.us ||
        atomic_load_explicit(&slot->revoked_us, memory_order_relaxed) != KEY_NEVER_US) {
        return 0;
    }
    int days = expires == KEY_NEVER_US ? -1 : passed(r, expires, false);
    r->expiring += expires != KEY_NEVER_US && expires - KEY_ROUND_DAYS * DAY_US <= r->to.us;
    if (days >= 0) {
        warn(&out[count++], slot, false, days, expires);
    }
    days = due == 0 ? -1 : passed(r, due, true);
    r->due += due != 0 && due <= r->to.us;
    if (days >= 0) {
        warn(&out[count++], slot, true, days, due);
    }
    return count;
}

size_t key_round_step(struct key_round *r, const struct key_table *t,
                      struct key_warning out[KEY_ROUND_WARNINGS])
{
    size_t count = 0;
    size_t keys = key_table_count(t);
    for (size_t i = 0; i < KEY_ROUND_SLOTS && r->at < keys; i++) {
        if (count + 2 > KEY_ROUND_WARNINGS) {
            return count;
        }
        count += look(r, key_table_slot(t, r->at++), out + count);
    }
    r->is_over = r->at >= keys;
    return count;
}
