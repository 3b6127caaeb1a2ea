/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_window.c — who works on a room is one of its users, and a room with users is never made
 * anew.
 *
 * A looker enters the room that `current` names and then sees whether `current` still names it: if
 * so, the room stays what it is until the looker leaves. Who makes a room anew needs it without
 * users, and by MAKING keeps them out meanwhile; one at a time does, as the room it picks is the
 * same for all.
 */
#include "limits/limits_window.h"

#define MAKING (INT64_MIN / 2)

__extension__ typedef __int128 wide; /* a hundred times an amount may pass 64 bits */

static bool enter(struct limits_room *room)
{
    if (atomic_fetch_add(&room->users, 1) >= 0) {
        return true;
    }
    (void)atomic_fetch_sub(&room->users, 1);
    return false;
}

static void leave(struct limits_room *room)
{
    (void)atomic_fetch_sub(&room->users, 1);
}

static bool is_of(const struct limits_room *room, wall_us at)
{
    return at.us >= atomic_load(&room->from_us) && at.us < atomic_load(&room->to_us);
}

static void furnish(struct limits_room *room, struct limits_range range)
{
    atomic_store(&room->taken, 0);
    atomic_store(&room->spent, 0);
    atomic_store(&room->beyond, 0);
    atomic_store(&room->passed, 0);
    atomic_store(&room->told, 0);
    atomic_store(&room->from_us, range.from.us);
    atomic_store(&room->to_us, range.to.us);
}

void limits_windows_init(struct limits_windows *w, const struct limits_zone *zone,
                         enum limits_span span, int week_start, wall_us now)
{
    *w = (struct limits_windows){.zone = zone, .span = span, .week_start = week_start};
    for (uint32_t i = 1; i < LIMITS_WINDOWS; i++) {
        furnish(&w->rooms[i], (struct limits_range){{INT64_MIN}, {INT64_MIN}});
    }
    furnish(&w->rooms[0], limits_range_of(zone, span, week_start, now));
}

/* The room of the oldest window but the current. */
static uint32_t oldest(const struct limits_windows *w, uint32_t current)
{
    uint32_t found = current;
    for (uint32_t i = 0; i < LIMITS_WINDOWS; i++) {
        bool is_older = found == current ||
                        atomic_load(&w->rooms[i].from_us) < atomic_load(&w->rooms[found].from_us);
        found = i != current && is_older ? i : found;
    }
    return found;
}

/* Makes a room for a window that none is of: if it is newer than all, and there is one to be had.
 */
static void make_room(struct limits_windows *w, uint32_t current, wall_us now)
{
    uint32_t picked = oldest(w, current);
    struct limits_room *room = &w->rooms[picked];
    int64_t none = 0;
    if (!atomic_compare_exchange_strong(&room->users, &none, MAKING)) {
        return;
    }
    /* A window that is still to come is of a clock that was ahead, and says nothing; but where only
     * such are known the newest goes on. */
    bool is_newest = atomic_load(&w->current) == current, knows_past = false;
    for (uint32_t i = 0; i < LIMITS_WINDOWS; i++) {
        int64_t from = atomic_load(&w->rooms[i].from_us), to = atomic_load(&w->rooms[i].to_us);
        is_newest = is_newest && (to <= now.us || from > now.us);
        knows_past = knows_past || (from != INT64_MIN && from <= now.us);
    }
    is_newest = is_newest && knows_past;
    if (is_newest) {
        furnish(room, limits_range_of(w->zone, w->span, w->week_start, now));
    }
    (void)atomic_fetch_sub(&room->users,
                           MAKING); /* those who came and left meanwhile stay counted */
    if (is_newest) {
        atomic_store(&w->current, picked);
    }
}

/* Has `current` name the window of this time, if that can be. */
static void follow_time(struct limits_windows *w, wall_us now)
{
    uint32_t current = atomic_load(&w->current);
    if (is_of(&w->rooms[current], now)) {
        return;
    }
    for (uint32_t i = 0; i < LIMITS_WINDOWS; i++) {
        if (is_of(&w->rooms[i], now)) {
            (void)atomic_compare_exchange_strong(&w->current, &current, i);
            return;
        }
    }
    make_room(w, current, now);
}

/* The room of this time, entered. */
static struct limits_room *enter_current(struct limits_windows *w, wall_us now)
{
    follow_time(w, now);
    for (;;) {
        uint32_t current = atomic_load(&w->current);
        struct limits_room *room = &w->rooms[current];
        if (enter(room)) {
            if (atomic_load(&w->current) == current) {
                return room;
            }
            leave(room);
        }
    }
}

static const int percents[LIMITS_STEPS] = {50, 80, 100};

uint32_t limits_steps_of(int64_t spent, int64_t limit)
{
    uint32_t passed = 0;
    for (int i = 0; i < LIMITS_STEPS; i++) {
        passed |= (uint32_t)((wide)spent * 100 >= (wide)limit * percents[i]) << i;
    }
    return passed;
}

int limits_step_percent(int step)
{
    return percents[step];
}

/* Notes which steps the window has passed. True: there is a new one. */
static bool note_steps(struct limits_room *room, int64_t limit)
{
    uint32_t steps = limits_steps_of(atomic_load(&room->spent), limit);
    uint32_t seen = atomic_load_explicit(&room->passed, memory_order_relaxed);
    return (steps & ~seen) != 0 && (steps & ~atomic_fetch_or(&room->passed, steps)) != 0;
}

void limits_windows_restore(struct limits_windows *w, wall_us at, int64_t limit, int64_t spent)
{
    uint32_t current = atomic_load(&w->current);
    struct limits_room *room = &w->rooms[current];
    int64_t within = spent < limit ? spent : limit;
    if (!is_of(room,
               at)) { /* the clock may be wrong: it finds this window when it is right again */
        struct limits_range range = limits_range_of(w->zone, w->span, w->week_start, at);
        room = &w->rooms[oldest(w, current)];
        if (atomic_load(&room->from_us) >= range.from.us) {
            return; /* newer ones are known */
        }
        furnish(room, range);
    }
    atomic_store(&room->spent, within);
    atomic_store(&room->taken, within);
    atomic_store(&room->beyond, spent - within);
    atomic_store(&room->passed, limits_steps_of(spent, limit)); /* and it was told */
    atomic_store(&room->told, limits_steps_of(spent, limit));
}

/* Adds as much of `amount` as the limit allows: all, or with `or_less` what there is. */
static int64_t add_within(_Atomic int64_t *taken, int64_t limit, int64_t amount, bool or_less)
{
    int64_t seen = atomic_load(taken);
    for (;;) {
        int64_t left = limit > seen ? limit - seen : 0;
        int64_t added = amount <= left ? amount : or_less ? left : -1;
        if (added < 0 || atomic_compare_exchange_weak(taken, &seen, seen + added)) {
            return added;
        }
    }
}

bool limits_windows_take(struct limits_windows *w, int64_t limit, int64_t amount, wall_us now,
                         struct limits_share *out)
{
    struct limits_room *room = enter_current(w, now);
    if (add_within(&room->taken, limit, amount, false) < 0) {
        leave(room);
        return false;
    }
    *out = (struct limits_share){room, amount};
    return true;
}

bool limits_share_extend(struct limits_share *share, int64_t limit, int64_t more)
{
    if (share->room == NULL || add_within(&share->room->taken, limit, more, false) < 0) {
        return false;
    }
    share->amount += more;
    return true;
}

void limits_share_shrink(struct limits_share *share, int64_t less)
{
    CHECK(share->room != NULL && less <= share->amount);
    (void)atomic_fetch_sub(&share->room->taken, less);
    share->amount -= less;
}

/* `taken` never falls below what is spent, and never rises without room for it. */
bool limits_share_settle(struct limits_share *share, int64_t limit, int64_t used)
{
    struct limits_room *room = share->room;
    if (room == NULL) {
        return false;
    }
    int64_t more = used > share->amount ? used - share->amount : 0;
    int64_t had_room = more > 0 ? add_within(&room->taken, limit, more, true) : 0;
    (void)atomic_fetch_add(&room->beyond, more - had_room);
    (void)atomic_fetch_add(&room->spent, used - (more - had_room));
    if (used < share->amount) {
        (void)atomic_fetch_sub(&room->taken, share->amount - used);
    }
    bool is_news = used > 0 && note_steps(room, limit);
    leave(room);
    *share = (struct limits_share){0};
    return is_news;
}

void limits_windows_look(struct limits_windows *w, wall_us now, struct limits_balance *out)
{
    struct limits_room *room = enter_current(w, now);
    int64_t spent = atomic_load(&room->spent); /* first: what is settled meanwhile shows as held */
    int64_t taken = atomic_load(&room->taken);
    *out = (struct limits_balance){
        .spent = spent,
        .held = taken > spent ? taken - spent : 0,
        .beyond = atomic_load(&room->beyond),
        .range = {{atomic_load(&room->from_us)}, {atomic_load(&room->to_us)}}};
    leave(room);
}

void limits_windows_peek(struct limits_windows *w, wall_us now, struct limits_balance *out)
{
    *out = (struct limits_balance){.spent = 0};
    for (uint32_t i = 0; i < LIMITS_WINDOWS; i++) {
        struct limits_room *room = &w->rooms[i];
        if (!enter(room)) {
            continue;
        }
        if (is_of(room, now)) {
            int64_t spent = atomic_load(&room->spent), taken = atomic_load(&room->taken);
            out->spent = spent;
            out->held = taken > spent ? taken - spent : 0;
        }
        leave(room);
    }
}

uint32_t limits_windows_news(struct limits_windows *w, wall_us now, struct limits_balance *out)
{
    struct limits_room *room = enter_current(w, now);
    uint32_t passed = atomic_load(&room->passed);
    uint32_t news = passed & ~atomic_fetch_or(&room->told, passed);
    leave(room);
    if (news != 0) {
        limits_windows_look(w, now, out);
    }
    return news;
}

wall_us limits_windows_end(const struct limits_windows *w)
{
    return (wall_us){atomic_load(&w->rooms[atomic_load(&w->current)].to_us)};
}

bool limits_windows_change(struct limits_windows *w, int64_t limit)
{
    bool is_news = false;
    for (int i = 0; i < LIMITS_WINDOWS; i++) {
        struct limits_room *room = &w->rooms[i];
        if (!enter(room)) {
            continue; /* it is being furnished for another window, which used nothing yet */
        }
        int64_t beyond = atomic_exchange(&room->beyond, 0);
        int64_t fits = beyond > 0 ? add_within(&room->taken, limit, beyond, true) : 0;
        (void)atomic_fetch_add(&room->spent, fits);
        (void)atomic_fetch_add(&room->beyond, beyond - fits);
        is_news |= atomic_load(&room->spent) > 0 && note_steps(room, limit);
        leave(room);
    }
    return is_news;
}

bool limits_windows_are_new(const struct limits_windows *w)
{
    bool are_new = true;
    for (int i = 0; i < LIMITS_WINDOWS; i++) {
        are_new = are_new && atomic_load(&w->rooms[i].taken) == 0;
    }
    return are_new;
}
