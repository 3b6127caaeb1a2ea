/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_plans.h — the plans that a new data folder begins with: development, professional and
 * enterprise, as anybody's plans are made, recorded, changed and ended.
 *
 * Threads  the main thread.
 * Sources  docs/teams.md.
 */
#ifndef MAIN_MAIN_PLANS_H
#define MAIN_MAIN_PLANS_H

/* Makes them where there never was a plan, with the configuration at `config`. CLI_GO_ON, or the
 * exit status after it has said, as "atlas COMMAND: …", what is wrong. */
int main_plans_make(const char *command, const char *config);

#endif
