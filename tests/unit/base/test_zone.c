/* SPDX-License-Identifier: Apache-2.0 */
/* test_zone.c — which names are time zones. */
#include "unit.h"

#include "base/zone.h"

static void only_names_of_the_database_are_zones(void **state)
{
    (void)state;
    static const char *const zones[] = {"UTC", "Asia/Riyadh", "America/Argentina/Buenos_Aires",
                                        "Etc/GMT+3", "Africa/Cairo"};
    static const char *const others[] = {
        "",          "Asia/Atlantis", "+03:00",      "EST5EDT,M3.2.0", "/usr/share/zoneinfo/UTC",
        "../UTC",    "Asia//Riyadh",  "Asia",        "localtime",      "posix/Asia/Riyadh",
        "zone.tab",  "leapseconds",   "posixrules",  "tzdata.zi",      "Asia/Riyadh ",
        "right/UTC", "Factory",       "Asia/Riyadh/"};
    for (size_t i = 0; i < ROWS(zones); i++) {
        if (!zone_is_known(zones[i])) {
            fail_msg("%s is a zone", zones[i]);
        }
    }
    for (size_t i = 0; i < ROWS(others); i++) {
        if (zone_is_known(others[i])) {
            fail_msg("'%s' is none", others[i]);
        }
    }
    char longest[ZONE_NAME_MAX + 2];
    memset(longest, 'A', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_false(zone_is_known(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_names_of_the_database_are_zones)};
    return cmocka_run_group_tests_name("zone", tests, NULL, NULL);
}
