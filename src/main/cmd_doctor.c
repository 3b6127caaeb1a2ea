/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas doctor`. */
#include "doctor/doctor.h"
#include "main/commands.h"

const struct cli_option main_doctor_options[] = {
    CLI_CONFIG(struct cli_given_config, config),
    CLI_END(NULL),
};

int main_doctor(const void *given)
{
    const struct cli_given_config *g = given;
    return doctor_run(g->config, stdout) ? CLI_DONE : CLI_FAILED;
}
