/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_plan.h"

#include <stddef.h>

static const struct {
    const char *name;
    size_t offset;
    int64_t least, most;
} fields[] = {
#define FIELD(name, takes, fallback, least, most, help) \
    {#name, offsetof(struct sim_plan, name), least, most},
#include "sim/sim_plan.def"
#undef FIELD
};

static const char *const faults[SIM_FAULT_COUNT] = {
#define FAULT(name, text, help) [SIM_##name] = text,
#include "sim/sim_plan.def"
#undef FAULT
};

static const struct sim_row field_rows[] = {
#define FIELD(name, takes, fallback, least, most, help) {#name, help},
#include "sim/sim_plan.def"
#undef FIELD
    {NULL, NULL},
};

static const struct sim_row fault_rows[] = {
#define FAULT(name, text, help) {text, help},
#include "sim/sim_plan.def"
#undef FAULT
    {NULL, NULL},
};

const struct sim_row *sim_plan_fault_rows(void)
{
    return fault_rows;
}

struct sim_plan sim_plan_default(void)
{
    return (struct sim_plan){
#define FIELD(name, takes, fallback, least, most, help) .name = fallback,
#include "sim/sim_plan.def"
#undef FIELD
        .fault = SIM_NONE,
    };
}

/* Equal but for case, and '-' is '_'. */
static bool is_name(struct span given, const char *name)
{
    size_t i = 0;
    for (; i < given.len && name[i] != '\0'; i++) {
        uint8_t c = given.at[i] == '-' ? '_' : given.at[i];
        c = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
        if (c != (uint8_t)name[i]) {
            return false;
        }
    }
    return i == given.len && name[i] == '\0';
}

static enum err set_fault(struct sim_plan *plan, struct span value)
{
    for (enum sim_fault f = 0; f < SIM_FAULT_COUNT; f++) {
        if (is_name(value, faults[f])) {
            plan->fault = f;
            return ERR_OK;
        }
    }
    return ERR_VALUE_INVALID;
}

enum err sim_plan_set(struct sim_plan *plan, struct span name, struct span value)
{
    uint64_t number;
    if (is_name(name, "fault")) {
        return set_fault(plan, value);
    }
    if (is_name(value, "on") || is_name(value, "true")) {
        number = 1;
    } else if (is_name(value, "off") || is_name(value, "false")) {
        number = 0;
    } else if (!span_to_u64(value, INT64_MAX, &number)) {
        return ERR_VALUE_INVALID;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (is_name(name, fields[i].name) && (int64_t)number >= fields[i].least &&
            (int64_t)number <= fields[i].most) {
            *(int64_t *)(void *)((char *)plan + fields[i].offset) = (int64_t)number;
            return ERR_OK;
        }
    }
    return ERR_VALUE_INVALID;
}

static void put_names(struct buf *out, const struct sim_row *rows)
{
    for (size_t i = 0; rows[i].name != NULL; i++) {
        buf_put_text(out, i == 0 ? "" : ", ");
        buf_put_text(out, rows[i].name);
    }
}

void sim_plan_explain(struct span name, struct buf *out)
{
    if (is_name(name, "fault")) {
        buf_put_text(out, "fault takes one of ");
        put_names(out, fault_rows);
        return;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (is_name(name, fields[i].name)) {
            buf_printf(out,
                       fields[i].most == 1 ? "%s takes on or off"
                                           : "%s takes a whole number from %lld to %lld",
                       fields[i].name, (long long)fields[i].least, (long long)fields[i].most);
            return;
        }
    }
    buf_put_text(out, "the simulator does not know ");
    buf_put(out, name);
    buf_put_text(out, "; it knows fault, ");
    put_names(out, field_rows);
}
