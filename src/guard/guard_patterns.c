/* SPDX-License-Identifier: Apache-2.0 */
/* (skeleton) */
#include "guard/guard_patterns.h"

#include "base/memory.h"

struct guard_patterns {
    size_t count;
};

struct guard_rules_scratch {
    size_t unused;
};

enum err guard_patterns_new(struct guard_patterns **out)
{
    *out = memory_new(sizeof(**out));
    return *out == NULL ? ERR_NO_MEMORY : ERR_OK;
}

void guard_patterns_free(struct guard_patterns **p)
{
    memory_free(*p);
    *p = NULL;
}

enum err guard_patterns_add(struct guard_patterns *p, struct span text, unsigned type,
                            char fault[GUARD_RULES_FAULT])
{
    (void)p, (void)text, (void)type, (void)fault;
    return ERR_OK;
}

enum err guard_patterns_seal(struct guard_patterns *p, char fault[GUARD_RULES_FAULT])
{
    (void)p, (void)fault;
    return ERR_OK;
}

void guard_patterns_find(const struct guard_patterns *p, const struct guard_window *w,
                         struct guard_rules_scratch *scratch, struct guard_sink *k)
{
    (void)p, (void)w, (void)scratch, (void)k;
}

enum err guard_patterns_fit(const struct guard_patterns *p, struct guard_rules_scratch *scratch)
{
    (void)p, (void)scratch;
    return ERR_OK;
}

struct guard_rules_scratch *guard_rules_scratch_new(void)
{
    return memory_new(sizeof(struct guard_rules_scratch));
}

void guard_rules_scratch_free(struct guard_rules_scratch **s)
{
    memory_free(*s);
    *s = NULL;
}
