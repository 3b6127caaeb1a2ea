/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slots.h"

#include "base/memory.h"

#define FIRST_SEGMENT 1024U

/* The segment of a number is said by its highest bit. */
static uint32_t segment_of(uint32_t number)
{
    return 31U - (uint32_t)__builtin_clz(number / FIRST_SEGMENT + 1);
}

static size_t segment_start(uint32_t segment)
{
    return (size_t)FIRST_SEGMENT * (((size_t)1 << segment) - 1);
}

static slots_place *place_of(const struct slots *s, uint32_t number)
{
    uint32_t n = segment_of(number);
    slots_place *segment = atomic_load_explicit(&s->segment[n], memory_order_acquire);
    return segment == NULL ? NULL : &segment[number - segment_start(n)];
}

void *slots_find(const struct slots *s, uint32_t number)
{
    slots_place *place = number < SLOTS_MAX ? place_of(s, number) : NULL;
    return place == NULL ? NULL : atomic_load_explicit(place, memory_order_acquire);
}

slots_place *slots_make(struct slots *s, uint32_t number)
{
    CHECK(number < SLOTS_MAX);
    uint32_t n = segment_of(number);
    if (atomic_load(&s->segment[n]) == NULL) {
        slots_place *segment = memory_new(((size_t)FIRST_SEGMENT << n) * sizeof(*segment));
        atomic_store_explicit(&s->segment[n], segment, memory_order_release);
    }
    return place_of(s, number);
}

void slots_fini(struct slots *s, void (*free_one)(void *one))
{
    for (uint32_t n = 0; n < SLOTS_SEGMENTS; n++) {
        slots_place *segment = atomic_load(&s->segment[n]);
        for (size_t i = 0; segment != NULL && i < (size_t)FIRST_SEGMENT << n; i++) {
            void *one = atomic_load(&segment[i]);
            if (one != NULL) {
                free_one(one);
            }
        }
        memory_free(segment);
        atomic_store(&s->segment[n], NULL);
    }
}
