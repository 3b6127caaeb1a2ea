/* SPDX-License-Identifier: Apache-2.0 */
#include "access/access_place.h"

#include "access/access_internal.h"
#include "guard/guard_policy.h"

/* What a row says; more than there is: the highest. */
static enum data_class class_of(uint8_t number)
{
    return number < DATA_CLASSES_END ? (enum data_class)number : DATA_TOP_SECRET;
}

struct guard_policy *access_guard_of(const struct access *a, const struct limits_subjects *who)
{
    uint32_t slot = who->slot[LIMITS_TEAM];
    const struct directory_entry *team =
        slot == SLOTS_NONE ? NULL : directory_find(a->directory, DIRECTORY_TEAM, slot);
    return team == NULL ? NULL : guard_policy_ref(team->guard);
}

struct access_place access_place_of(const struct access *a, const struct key_handle *key,
                                    const struct limits_subjects *who)
{
    const struct key_grant *grant = a->keys == NULL ? NULL : keys_grant(a->keys, key->slot);
    uint32_t slot = who->slot[LIMITS_TEAM];
    const struct directory_entry *team =
        slot == SLOTS_NONE ? NULL : directory_find(a->directory, DIRECTORY_TEAM, slot);
    struct access_place place = {.regions = SPAN("")};
    if (team != NULL) {
        place = (struct access_place){.regions = team->regions,
                                      .most = class_of(team->max_class),
                                      .usual = class_of(team->default_class),
                                      .is_local = team->is_local};
    }
    place.is_local = place.is_local || (grant != NULL && span_equal(grant->says.place, KEY_HOME));
    return place;
}
