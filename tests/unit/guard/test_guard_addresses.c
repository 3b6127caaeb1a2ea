/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard_addresses.c — addresses of people and hosts, and what looks like them. */
#include "guard_cases.h"

static void emails_are_found(void **state)
{
    static const struct guard_case rows[] = {
        {"", ""},
        {"hello world", ""},
        {"write to ahmed@corp.sa today", "email:ahmed@corp.sa"},
        {"ahmed.ali+x@mail.corp.com.sa", "email:ahmed.ali+x@mail.corp.com.sa"},
        {"(mailto:a_b-c@x-y.io).", "email:a_b-c@x-y.io"},
        {"<ahmed@corp.sa>, \"sara@corp.ae\"", "email:ahmed@corp.sa|email:sara@corp.ae"},
        {"راسلني على ahmed@corp.sa شكرا", "email:ahmed@corp.sa"},
        {"وahmed@corp.saو", "email:ahmed@corp.sa"},
        {"محمد@شركة.السعودية", "email:محمد@شركة.السعودية"},
        {"ahmed＠corp．sa", "email:ahmed＠corp．sa"},
        {"ah\u200Bmed@co\u00ADrp.sa\u200B x", "email:ah\u200Bmed@co\u00ADrp.sa"},
        {"name [at] corp [dot] com", "email:name [at] corp [dot] com"},
        {"name(at)corp.com", "email:name(at)corp.com"},
        {"name [at] corp dot co dot uk ok", "email:name [at] corp dot co dot uk"},
        {"so: ahmed@corp.sa.", "email:ahmed@corp.sa"},
        {"john@example.com and x@y.test", ""},
        {"@ahmed said a@b and a@ b.com", ""},
        {"react@18.2.0 icon@2x.png", ""},
        {"at 5 pm @ the mall. ok", ""},
        {"a..@x.com", ""},
        {"[at] the end (at) once", ""},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

static void credentials_are_found(void **state)
{
    static const struct guard_case rows[] = {
        {"postgres://admin:s3cr3t@db.corp.sa:5432/x", "url_credentials:admin:s3cr3t"},
        {"https://user:p@ss@host.com/", "url_credentials:user:p@ss"},
        {"see https://corp.com/a:b@c", ""},
        {"https://corp.com:8080/x and ://a:b@c", ""},
        {"redis://:@h", ""},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

static void hosts_are_found(void **state)
{
    static const struct guard_case rows[] = {
        {"from 185.23.14.9 to 10.20.30.40:8080", "ip_address:185.23.14.9|ip_address:10.20.30.40"},
        {"IP:192.168.1.44/24.", "ip_address:192.168.1.44"},
        {"the server at 1.2.3.4 is up", "ip_address:1.2.3.4"},
        {"١٨٥.٢٣.١٤.٩", "ip_address:١٨٥.٢٣.١٤.٩"},
        {"version 14.22.33.44 and v1.2.3.4", ""},
        {"127.0.0.1 0.0.0.0 192.0.2.7 ::1 2001:db8::1", ""},
        {"1.2.3.4.5 300.1.1.1 1.2.3 12.13.14", ""},
        {"fe80::1ff:fe23:4567:890a%eth0", "ip_address:fe80::1ff:fe23:4567:890a"},
        {"2a02:cb40:1000:0:0:0:0:1", "ip_address:2a02:cb40:1000:0:0:0:0:1"},
        {"2a02:cb40::8a2e:370:7334.", "ip_address:2a02:cb40::8a2e:370:7334"},
        {"::ffff:185.23.14.9", "ip_address:::ffff:185.23.14.9"},
        {"at 12:30:45, verse 2:255, a::b std::move", ""},
        {"mac 00:1A:2b:3C:4d:5E end", "mac_address:00:1A:2b:3C:4d:5E"},
        {"MAC:00-1A-2B-3C-4D-5E", "mac_address:00-1A-2B-3C-4D-5E"},
        {"001a.2b3c.4d5e", "mac_address:001a.2b3c.4d5e"},
        {"00:00:00:00:00:00 ff:ff:ff:ff:ff:ff", ""},
        {"550e8400-e29b-41d4-a716-446655440000", ""},
        {"00:1A:2b:3C:4d:5E:77", ""},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(emails_are_found),
        cmocka_unit_test(credentials_are_found),
        cmocka_unit_test(hosts_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
