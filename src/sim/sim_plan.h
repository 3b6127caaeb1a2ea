/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_plan.h — how the simulator behaves for one request.
 *
 * The defaults come from the command line; a request changes them for itself, by headers
 * (`X-Sim-Tokens: 5`) or, where a gateway in between drops headers, by a `sim` object in its body
 * (`"sim":{"tokens":5}`). Names are those of sim_plan.def, with '-' or '_' alike.
 *
 * Ownership  a plan is a value.
 * Threads    any; pure.
 */
#ifndef SIM_SIM_PLAN_H
#define SIM_SIM_PLAN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum sim_fault {
#define FAULT(name, text, help) SIM_##name,
#include "sim/sim_plan.def"
#undef FAULT
    SIM_FAULT_COUNT
};

struct sim_plan {
#define FIELD(name, takes, fallback, least, most, help) int64_t name;
#include "sim/sim_plan.def"
#undef FIELD
    enum sim_fault fault;
};

/* One name and what it is for, for the help. */
struct sim_row {
    const char *name, *help;
};

/* The plan when nothing is asked for. */
struct sim_plan sim_plan_default(void);

/*
 * Sets what `name` names; "fault" takes a fault's name, the others a whole number, "on" or "off".
 *   ERR_VALUE_INVALID  there is no such name, or its value is not valid: nothing was set
 */
MUST_USE enum err sim_plan_set(struct sim_plan *plan, struct span name, struct span value);

/* Appends the sentence that says why sim_plan_set() did not take a value for `name`. */
void sim_plan_explain(struct span name, struct buf *out);

/* The rows for the help, NULL behind the last. */
const struct sim_row *sim_plan_fault_rows(void);

#endif
