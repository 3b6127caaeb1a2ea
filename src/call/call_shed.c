/* SPDX-License-Identifier: Apache-2.0 */
/* Who makes room for calls of a higher priority, before all room is taken. */
#include "base/counter.h"
#include "base/memory.h"
#include "call/call_internal.h"
#include "limits/limits_bounds.h"

#define WHOLE_SHARE 16

/* How many sixteenths of the calls that there may be, and of their memory, calls of a priority may
 * be among: what is left is kept for those of a higher one, where anybody has it. */
static unsigned share_of(const struct call *call, enum limits_priority priority)
{
    static const unsigned shares[] = {
        [LIMITS_LOW] = 12, [LIMITS_NORMAL] = 15, [LIMITS_HIGH] = WHOLE_SHARE};
    const struct access *rights = call->shared->rights;
    bool is_kept =
        priority == LIMITS_LOW || (rights != NULL && limits_has_high(access_limits(rights)));
    return is_kept ? shares[priority] : WHOLE_SHARE;
}

static bool is_full(const struct call *call, int64_t open, uint64_t more, unsigned share)
{
    int64_t most = call->policy->calls_max;
    int64_t kept = most * (WHOLE_SHARE - share) / WHOLE_SHARE;
    return open >= most - kept || (share < WHOLE_SHARE && memory_is_above(more, share));
}

bool call_is_shed(const struct call *call, int64_t open, uint64_t more)
{
    if (!is_full(call, open, more, share_of(call, LIMITS_LOW))) { /* nobody asks whose call it is */
        return false;
    }
    enum limits_priority priority = call_priority(call);
    bool is = is_full(call, open, more, share_of(call, priority));
    counter_add(COUNT_SHED_LOW + priority - LIMITS_LOW, is);
    return is;
}
