/* SPDX-License-Identifier: Apache-2.0 */
/* test_upstream_trust.c — a CA file is read once, whoever names it, and again when it has changed.
 */
#include "unit.h"

#include "../net/certificate.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "net/net_tls.h"
#include "upstream/upstream_trust.h"

static const struct upstream_definition secure = {.name = "a", .url = "https://model.example/v1"};

static struct upstream_trust *open_trust(const struct upstream_definition *definitions,
                                         size_t count, const struct upstream_trust *previous)
{
    char reason[NET_TLS_REASON_BYTES];
    struct upstream_trust *trust = NULL;
    assert_int_equal(upstream_trust_open(&(struct upstream_settings){definitions, count}, previous,
                                         reason, &trust),
                     ERR_OK);
    return trust;
}

static void upstreams_of_one_ca_file_share_a_context(void **state)
{
    (void)state;
    struct certificate ca, other;
    certificate_make(&ca, "ca", "DNS:model.example");
    certificate_make(&other, "other", "DNS:model.example");
    struct upstream_definition d[] = {secure, secure, secure, secure, secure};
    d[0].ca_file = d[1].ca_file = ca.cert;
    d[2].ca_file = other.cert;
    d[3].url = "HTTPS://model.example/v1"; /* the system's */
    d[4].url = "http://model.example/v1";
    d[4].ca_file = "/does/not/exist"; /* not looked at */
    struct upstream_trust *trust = open_trust(d, ROWS(d), NULL);
    assert_non_null(upstream_trust_find(trust, &d[0]));
    assert_ptr_equal(upstream_trust_find(trust, &d[0]), upstream_trust_find(trust, &d[1]));
    assert_ptr_not_equal(upstream_trust_find(trust, &d[0]), upstream_trust_find(trust, &d[2]));
    assert_non_null(upstream_trust_find(trust, &d[3]));
    assert_ptr_not_equal(upstream_trust_find(trust, &d[0]), upstream_trust_find(trust, &d[3]));
    assert_null(upstream_trust_find(trust, &d[4]));
    upstream_trust_close(&trust);
    assert_null(trust);
    certificate_remove(&ca);
    certificate_remove(&other);
}

static void a_ca_file_is_read_again_only_when_it_has_changed(void **state)
{
    (void)state;
    struct certificate ca, next;
    certificate_make(&ca, "ca", "DNS:model.example");
    certificate_make(&next, "next", "DNS:model.example");
    struct upstream_definition d[] = {secure, secure};
    d[0].ca_file = ca.cert;
    struct upstream_trust *first = open_trust(d, ROWS(d), NULL);
    struct upstream_trust *second = open_trust(d, ROWS(d), first);
    assert_ptr_equal(upstream_trust_find(second, &d[0]), upstream_trust_find(first, &d[0]));
    assert_ptr_equal(upstream_trust_find(second, &d[1]), upstream_trust_find(first, &d[1]));
    upstream_trust_close(&first);
    assert_int_equal(rename(next.cert, ca.cert), 0);
    struct upstream_trust *third = open_trust(d, ROWS(d), second);
    assert_ptr_not_equal(upstream_trust_find(third, &d[0]), upstream_trust_find(second, &d[0]));
    assert_ptr_equal(upstream_trust_find(third, &d[1]), upstream_trust_find(second, &d[1]));
    upstream_trust_close(&second);
    upstream_trust_close(&third);
    certificate_remove(&ca);
    certificate_remove(&next);
}

static void a_ca_file_that_is_none_is_refused_with_its_name_and_waits_for_nobody(void **state)
{
    (void)state;
    struct certificate pipe;
    (void)fclose(certificate_file(pipe.cert)); /* the name is what is wanted */
    assert_int_equal(unlink(pipe.cert), 0);
    assert_int_equal(mkfifo(pipe.cert, 0600), 0);
    const struct {
        const char *file, *says;
    } rows[] = {
        {"/does/not/exist", "CA file /does/not/exist: No such file or directory"},
        {pipe.cert, "it is a named pipe, not a file"},
        {"/tmp", "CA file /tmp: it is a folder, not a file"},
        {"/dev/null", "it is a device, not a file"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char reason[NET_TLS_REASON_BYTES];
        struct upstream_definition d = secure;
        struct upstream_trust *trust = NULL;
        d.ca_file = rows[r].file;
        assert_int_equal(
            upstream_trust_open(&(struct upstream_settings){&d, 1}, NULL, reason, &trust),
            ERR_NET_TLS);
        assert_null(trust);
        if (strstr(reason, rows[r].says) == NULL) {
            fail_msg("%s: \"%s\"", rows[r].file, reason);
        }
    }
    assert_int_equal(unlink(pipe.cert), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upstreams_of_one_ca_file_share_a_context),
        cmocka_unit_test(a_ca_file_is_read_again_only_when_it_has_changed),
        cmocka_unit_test(a_ca_file_that_is_none_is_refused_with_its_name_and_waits_for_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
