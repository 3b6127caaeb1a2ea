/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/strangers.h"

#include <string.h>

#include "base/counter.h"
#include "base/log.h"
#include "base/map.h"
#include "base/span.h"

#define SECOND_US 1000000
#define MINUTE_US (60 * SECOND_US)

/* The entry of `address`; else one that is silent; else the last, which all others share. */
static struct stranger *find(struct strangers *all, const char *address, int64_t second)
{
    struct stranger *free_one = NULL;
    for (size_t i = 0; i + 1 < STRANGERS; i++) {
        struct stranger *s = &all->at[i];
        if (s->address[0] != '\0' && strcmp(s->address, address) == 0) {
            return s;
        }
        if (free_one == NULL && s->second < second && s->untold == 0) {
            free_one = s;
        }
    }
    struct stranger *s = free_one != NULL ? free_one : &all->at[STRANGERS - 1];
    s->tried_count = 0;
    span_copy_text(span_of(free_one != NULL ? address : "other addresses"), s->address,
                   sizeof(s->address));
    return s;
}

void strangers_note(struct strangers *all, const char *peer, enum err e, mono_us now)
{
    int64_t second = now.us / SECOND_US;
    counter_add(COUNT_KEYS_REFUSED, 1);
    struct stranger *s = find(all, peer, second);
    if (s->second == second) {
        s->untold++;
        return;
    }
    s->second = second;
    log_info("key_refused", "%s: %s", s->address, err_sentence(e));
}

bool strangers_try(struct strangers *all, const char *peer, struct span token, mono_us now)
{
    struct stranger *s = find(all, peer, now.us / SECOND_US);
    uint32_t hash = (uint32_t)map_hash(token);
    if (s == &all->at[STRANGERS - 1]) {
        return false; /* those of many addresses are no one's */
    }
    if (s->minute != now.us / MINUTE_US) {
        s->minute = now.us / MINUTE_US;
        s->tried_count = 0;
    }
    for (unsigned i = 0; i < s->tried_count; i++) {
        if (s->tried[i] == hash) {
            return s->tried_count == STRANGER_KEYS;
        }
    }
    if (s->tried_count < STRANGER_KEYS) {
        s->tried[s->tried_count++] = hash;
    }
    return s->tried_count == STRANGER_KEYS;
}

void strangers_tell_guesses(const char *peer)
{
    log_warn("keys_guessed",
             "%s: has tried %d or more different keys in a minute, none of them valid", peer,
             STRANGER_KEYS);
}

void strangers_tell_revoked(const char *peer, struct span key_id)
{
    log_warn("revoked_key_used", "%s: key %.*s was revoked and is still in use; it is refused",
             peer, SPAN_ARGS(key_id));
}

bool strangers_tell(struct strangers *all, mono_us now)
{
    bool is_left = false;
    for (size_t i = 0; i < STRANGERS; i++) {
        struct stranger *s = &all->at[i];
        if (s->untold > 0 && s->second < now.us / SECOND_US) {
            log_info("key_refused", "%s: and %u more", s->address, s->untold);
            s->second = now.us / SECOND_US;
            s->untold = 0;
        }
        is_left |= s->untold > 0;
    }
    return is_left;
}
