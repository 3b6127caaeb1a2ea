/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas version`. */
#include <stdio.h>

#include "main/commands.h"
#include "main/options.h"

int main_version(int argc, char **argv)
{
    int status = main_options(argc, argv, "atlas version", NULL, 0);
    if (status == MAIN_GO_ON) {
        puts("atlas " ATLAS_VERSION);
        status = MAIN_DONE;
    }
    return status;
}
