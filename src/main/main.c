/* SPDX-License-Identifier: Apache-2.0 */
/* The program `atlas`: one subcommand of commands.def a run. */
#include "main/commands.h"

int main(int argc, char **argv)
{
    return main_run(argc, argv);
}
