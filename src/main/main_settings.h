/* SPDX-License-Identifier: Apache-2.0 */
/* main_settings.h — the configuration, for a command that works without a gateway. */
#ifndef MAIN_MAIN_SETTINGS_H
#define MAIN_MAIN_SETTINGS_H

#include "settings/settings.h"

/* Reads the configuration and its rules; NULL when standard error says what is wrong. */
struct settings *main_settings_read(const char *path);

#endif
