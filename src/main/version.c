/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas version`. */
#include <stdio.h>

#include "main/commands.h"

/* A release says that it was compiled with a profile of itself: tools/release.sh. */
#ifndef ATLAS_BUILD
#define ATLAS_BUILD ""
#endif

const struct cli_option main_version_options[] = {CLI_END(NULL)};

int main_version(const void *given)
{
    (void)given; /* it takes nothing */
    puts("atlas " ATLAS_VERSION ATLAS_BUILD);
    return CLI_DONE;
}
