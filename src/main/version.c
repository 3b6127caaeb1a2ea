/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas version`. */
#include <stdio.h>

#include "cli/cli_options.h"
#include "main/commands.h"

int main_version(int argc, char **argv)
{
    int status = cli_options(argc, argv, "atlas version", NULL, 0);
    if (status == CLI_GO_ON) {
        puts("atlas " ATLAS_VERSION);
        status = CLI_DONE;
    }
    return status;
}
