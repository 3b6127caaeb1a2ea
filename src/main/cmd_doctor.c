/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas doctor`. */
#include "cli/cli_options.h"
#include "doctor/doctor.h"
#include "main/commands.h"

int main_doctor(int argc, char **argv)
{
    const char *config = CLI_CONFIG_DEFAULT;
    const struct cli_option options[] = {
        {"config", "F", "The configuration; " CLI_CONFIG_DEFAULT " if not given", .text = &config},
    };
    int status = cli_options(argc, argv, "atlas doctor [--config F]", options, 1);
    if (status != CLI_GO_ON) {
        return status;
    }
    return doctor_run(config, stdout) ? CLI_DONE : CLI_FAILED;
}
