/* SPDX-License-Identifier: Apache-2.0 */
#include "base/zone.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

#define ZONES "/usr/share/zoneinfo/"

/* What begins so in the database's folder is no zone's name, or another name of one. */
static const char *const others[] = {"localtime",   "posixrules", "Factory",
                                     "leapseconds", "posix/",     "right/"};

/* Letters first, so that it is neither a path nor a rule; one zone has one name. */
static bool has_shape(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t len = strnlen(name, ZONE_NAME_MAX + 1);
    bool has = len > 0 && len <= ZONE_NAME_MAX && strchr(letters, name[0]) != NULL &&
               strstr(name, "//") == NULL;
    for (const char *c = name; has && *c != '\0'; c++) {
        has = strchr(letters, *c) != NULL || strchr("0123456789_+-/", *c) != NULL;
    }
    for (size_t i = 0; has && i < sizeof(others) / sizeof(others[0]); i++) {
        has = strncmp(name, others[i], strlen(others[i])) != 0;
    }
    return has;
}

bool zone_is_known(const char *name)
{
    static const char magic[] = "TZif";
    char path[sizeof(ZONES) + ZONE_NAME_MAX], begins[sizeof(magic) - 1];
    const char *why;
    int fd;
    if (strcmp(name, "UTC") == 0) {
        return true;
    }
    if (!has_shape(name)) {
        return false;
    }
    (void)snprintf(path, sizeof(path), ZONES "%s", name); /* it fits */
    if (file_open(path, &fd, &why) != ERR_OK) {
        return false;
    }
    bool is_one = read(fd, begins, sizeof(begins)) == (ssize_t)sizeof(begins) &&
                  memcmp(begins, magic, sizeof(begins)) == 0;
    (void)close(fd); /* only read from */
    return is_one;
}
