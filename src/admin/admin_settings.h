/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_settings.h — where the operator's side of the gateway answers.
 *
 * Filled by main from the settings table (src/settings/settings.def), where each field's default,
 * range and explanation stand.
 *
 * Ownership  borrowed: the strings live as long as the struct settings it is part of.
 * Threads    any; read only.
 */
#ifndef ADMIN_ADMIN_SETTINGS_H
#define ADMIN_ADMIN_SETTINGS_H

#include "server/server_settings.h"

struct admin_settings {
    struct server_listen listen; /* of the admin listener */
};

#endif
