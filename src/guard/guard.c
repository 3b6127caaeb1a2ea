/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in types, and what actions, modes and violations are called. */
#include "guard/guard.h"

static const struct {
    struct span name, placeholder;
    enum guard_violation violation;
} types[GUARD_BUILTINS] = {
#define GUARD_TYPE(id, name, placeholder, violation, help)                     \
    [GUARD_##id] = {{(const uint8_t *)(name), sizeof(name) - 1},               \
                    {(const uint8_t *)(placeholder), sizeof(placeholder) - 1}, \
                    GUARD_VIOLATION_##violation},
#include "guard/guard_types.def"
#undef GUARD_TYPE
};

struct span guard_type_name(unsigned type)
{
    return type < GUARD_BUILTINS ? types[type].name : SPAN("");
}

struct span guard_type_placeholder(unsigned type)
{
    return type < GUARD_BUILTINS ? types[type].placeholder : SPAN("");
}

enum guard_violation guard_type_violation(unsigned type)
{
    return type < GUARD_BUILTINS ? types[type].violation : GUARD_VIOLATION_PATTERN;
}

unsigned guard_type_find(struct span name)
{
    unsigned type = 0;
    while (type < GUARD_BUILTINS && !span_equal(types[type].name, name)) {
        type++;
    }
    return type;
}

/* The i-th of the names "a|b|c"; "" past them. */
static struct span name_at(const char *names, unsigned i)
{
    struct span rest = span_of(names);
    for (; i > 0 && rest.len > 0; i--) {
        rest = span_cut(rest, span_find(rest, '|', 0) + 1, rest.len);
    }
    return span_cut(rest, 0, span_find(rest, '|', 0));
}

struct span guard_action_name(enum guard_action action)
{
    return name_at(GUARD_ACTION_NAMES, action);
}

struct span guard_mode_name(enum guard_mode mode)
{
    return name_at(GUARD_MODE_NAMES, mode);
}

struct span guard_violation_name(enum guard_violation violation)
{
    static const char *const names[] = {
        [GUARD_VIOLATION_SECRET] = "secret_detected",
        [GUARD_VIOLATION_PII] = "pii_detected",
        [GUARD_VIOLATION_INJECTION] = "injection_suspected",
        [GUARD_VIOLATION_PATTERN] = "pattern_matched",
        [GUARD_VIOLATION_WORD] = "word_listed",
    };
    return span_of(names[violation]);
}
