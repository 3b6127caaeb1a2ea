/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"
#include "openai/openai_internal.h"

static void choice_fini(struct openai_choice *c)
{
    for (uint16_t i = 0; c->tools != NULL && i < c->tool_count; i++) {
        openai_held_free(&c->tools[i].held);
    }
    memory_free_counted(c->tools);
}

void openai_answer_fini(struct openai_answer *a)
{
    choice_fini(&a->first);
    for (uint16_t i = 0; i < a->others_room; i++) {
        choice_fini(&a->others[i]);
    }
    memory_free_counted(a->others);
    *a = (struct openai_answer){.others = NULL};
}

/* Few answers have more than one choice, so the others' place is made when it is needed. */
static bool make_room(struct openai_answer *a, uint16_t count)
{
    uint16_t room = a->others_room == 0 ? 1 : a->others_room;
    while (room < count) {
        room = (uint16_t)(room * 2); /* 128 at most */
    }
    struct openai_choice *more = memory_raw_counted(room * sizeof(*more));
    if (more == NULL) {
        return false;
    }
    memset(more, 0, room * sizeof(*more));
    if (a->others_room > 0) {
        memcpy(more, a->others, a->others_room * sizeof(*more));
    }
    memory_free_counted(a->others);
    a->others = more;
    a->others_room = room;
    return true;
}

struct openai_choice *openai_answer_choice(struct openai_answer *a, int64_t index)
{
    CHECK(index >= 0 && index < OPENAI_CHOICES_MAX);
    if (index == 0) {
        return &a->first;
    }
    if (index > a->others_room && !make_room(a, (uint16_t)index)) {
        return NULL;
    }
    return &a->others[index - 1];
}

int64_t openai_answer_place(struct openai_answer *a, int64_t said)
{
    for (uint16_t i = 0; i < a->placed; i++) {
        const struct openai_choice *c = i == 0 ? &a->first : &a->others[i - 1];
        if (c->said == said) {
            return i;
        }
    }
    if (a->placed == OPENAI_CHOICES_MAX) {
        return OPENAI_CHOICES_MAX;
    }
    struct openai_choice *c = openai_answer_choice(a, a->placed);
    if (c == NULL) {
        return -1;
    }
    c->said = said;
    return a->placed++;
}
