/* SPDX-License-Identifier: Apache-2.0 */
/* test_attempt_tls.c — whom we believe to be a model server. */
#include "model_server.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define FOLDER_BYTES 64

static struct caller caller;
static char folder[FOLDER_BYTES];

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

static void add_extension(X509 *certificate, X509 *issuer, int which, const char *text)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, which, text);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* A certificate for `names` (subjectAltName), signed by `issuer`; an authority if that is NULL. */
static struct identity make_identity(const char *names, const struct identity *issuer)
{
    struct identity own = {EVP_EC_gen("P-256"), X509_new()};
    assert_non_null(own.key);
    const struct identity *signer = issuer == NULL ? &own : issuer;
    static long serial = 1;
    assert_int_equal(X509_set_version(own.certificate, 2), 1);
    ASN1_INTEGER_set(X509_get_serialNumber(own.certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(own.certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(own.certificate), 3600);
    X509_NAME *name = X509_get_subject_name(own.certificate);
    const char *common = issuer == NULL ? "Test CA" : "server";
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common, -1, -1, 0);
    X509_set_issuer_name(own.certificate, X509_get_subject_name(signer->certificate));
    X509_set_pubkey(own.certificate, own.key);
    add_extension(own.certificate, signer->certificate, NID_basic_constraints,
                  issuer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (names != NULL) {
        add_extension(own.certificate, signer->certificate, NID_subject_alt_name, names);
    }
    assert_true(X509_sign(own.certificate, signer->key, EVP_sha256()) > 0);
    return own;
}

/* What the server shows is what is noted, each time that it is asked. */
static void expect_certificate(const struct attempt *a, const char *name)
{
    char path[256];
    uint8_t digest[NET_CERTIFICATE_BYTES];
    unsigned len = 0;
    (void)snprintf(path, sizeof(path), "%s/%s.crt", folder, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    assert_non_null(certificate);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(X509_digest(certificate, EVP_sha256(), digest, &len), 1);
    X509_free(certificate);
    assert_true(attempt_peer(a)->has_certificate && len == sizeof(digest));
    assert_memory_equal(attempt_peer(a)->certificate, digest, sizeof(digest));
    assert_string_equal(attempt_peer(a)->address, "127.0.0.1");
}

static void free_identity(struct identity *identity)
{
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
}

static void path_of(const char *name, char *out, size_t size)
{
    (void)snprintf(out, size, "%s/%s", folder, name);
}

static void write_identity(const struct identity *identity, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s.crt", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, identity->certificate), 1);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(path, sizeof(path), "%s/%s.key", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, identity->key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
}

static int make_identities(void **state)
{
    (void)state;
    span_copy_text(SPAN("/tmp/atlas-tls-XXXXXX"), folder, sizeof(folder));
    assert_non_null(mkdtemp(folder));
    struct identity ca = make_identity(NULL, NULL);
    struct identity other_ca = make_identity(NULL, NULL);
    struct identity by_address = make_identity("IP:127.0.0.1,DNS:localhost", &ca);
    struct identity by_name = make_identity("DNS:models.example", &ca);
    write_identity(&ca, "ca");
    write_identity(&other_ca, "other");
    write_identity(&by_address, "right");
    write_identity(&by_name, "wrong");
    free_identity(&ca);
    free_identity(&other_ca);
    free_identity(&by_address);
    free_identity(&by_name);
    return 0;
}

static int remove_identities(void **state)
{
    (void)state;
    static const char *const names[] = {"ca", "other", "right", "wrong"};
    for (size_t i = 0; i < ROWS(names); i++) {
        char path[256];
        (void)snprintf(path, sizeof(path), "%s/%s.crt", folder, names[i]);
        assert_int_equal(unlink(path), 0);
        (void)snprintf(path, sizeof(path), "%s/%s.key", folder, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    return rmdir(folder);
}

static void open_tls_scene(struct scene *scene, const struct act *const *scripts,
                           const char *certificate, const char *host)
{
    scene_open(scene, scripts, 1);
    char crt[128], key[128], name[64], reason[NET_TLS_REASON_BYTES];
    (void)snprintf(name, sizeof(name), "%s.crt", certificate);
    path_of(name, crt, sizeof(crt));
    (void)snprintf(name, sizeof(name), "%s.key", certificate);
    path_of(name, key, sizeof(key));
    struct net_tls_pair pair = {crt, key};
    assert_int_equal(net_tls_open_server(&pair, 1, reason, &scene->server.tls), ERR_OK);
    (void)snprintf(scene->url, sizeof(scene->url), "https://%s:%u/v1", host, scene->server.port);
}

static void a_server_is_believed_when_its_certificate_says_so(void **state)
{
    (void)state;
    static const struct act script[] = {SAY_HI, SAY_HI, STAY};
    const struct act *scripts[] = {script};
    static const struct {
        const char *why, *certificate, *ca, *host;
        enum err error;
    } rows[] = {
        {"by address", "right", "ca", "127.0.0.1", ERR_OK},
        {"by name", "right", "ca", "localhost", ERR_OK},
        {"another authority", "right", "other", "127.0.0.1", ERR_UPSTREAM_TLS},
        {"the system's authorities", "right", NULL, "127.0.0.1", ERR_UPSTREAM_TLS},
        {"another's address", "wrong", "ca", "127.0.0.1", ERR_UPSTREAM_TLS},
        {"another's name", "wrong", "ca", "localhost", ERR_UPSTREAM_TLS},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct scene scene;
        char ca[128], name[64];
        open_tls_scene(&scene, scripts, rows[r].certificate, rows[r].host);
        if (rows[r].ca != NULL) {
            (void)snprintf(name, sizeof(name), "%s.crt", rows[r].ca);
            path_of(name, ca, sizeof(ca));
            scene.definition.ca_file = ca;
        }
        scene_ready(&scene);
        call(&caller, &scene, false);
        if (caller.error != rows[r].error) {
            fail_msg("%s: %s", rows[r].why, err_name(caller.error));
        }
        bool ok = caller.error == ERR_OK;
        assert_int_equal(attempt_has_sent(caller.attempt), ok);
        assert_int_equal(attempt_peer(caller.attempt)->has_certificate, ok);
        if (ok) {
            expect_certificate(caller.attempt, rows[r].certificate);
        }
        attempt_close(&caller.attempt);
        if (ok) { /* tickets that came meanwhile do not end an idle connection */
            run_turns(&scene, 8);
            call(&caller, &scene, false);
            assert_int_equal(caller.error, ERR_OK);
            assert_true(attempt_was_reused(caller.attempt));
            expect_certificate(caller.attempt, rows[r].certificate);
            assert_int_equal(caller.len, 2);
            attempt_close(&caller.attempt);
        }
        scene_close(&scene);
    }
}

static void large_bodies_pass_both_ways(void **state)
{
    (void)state;
    enum { SIZE = 100000 }; /* what the kernel takes at once */
    static char answer[SIZE + 200];
    int head =
        snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", SIZE);
    for (int i = 0; i < SIZE; i++) {
        answer[head + i] = (char)('a' + i % 23);
    }
    const struct act script[] = {REQUEST, {ACT_SAY, answer, (size_t)(head + SIZE), 0}, STAY};
    const struct act *scripts[] = {script};
    struct scene scene;
    char ca[128];
    open_tls_scene(&scene, scripts, "right", "127.0.0.1");
    path_of("ca.crt", ca, sizeof(ca));
    scene.definition.ca_file = ca;
    scene_ready(&scene);
    static char text[900000];
    memset(text, 'q', sizeof(text));
    struct iovec body = {text, sizeof(text)};
    assert_int_equal(caller_start(&caller, &scene, &body, false), ERR_OK);
    run_until(&scene, &caller.done);
    assert_int_equal(caller.error, ERR_OK);
    assert_int_equal(scene.server.requests, 1);
    assert_int_equal(caller.len, SIZE);
    assert_memory_equal(caller.body, answer + head, SIZE);
    attempt_close(&caller.attempt);
    scene_close(&scene);
}

static void an_answer_without_a_length_ends_with_a_farewell_only(void **state)
{
    (void)state;
    static const struct act said[] = {REQUEST, SAY("HTTP/1.1 200 OK\r\n\r\nhello"), END};
    static const struct act cut[] = {REQUEST, SAY("HTTP/1.1 200 OK\r\n\r\nhello"), CUT, STAY};
    const struct act *all[] = {said, cut};
    for (size_t r = 0; r < ROWS(all); r++) {
        struct scene scene;
        char ca[128];
        open_tls_scene(&scene, &all[r], "right", "127.0.0.1");
        path_of("ca.crt", ca, sizeof(ca));
        scene.definition.ca_file = ca;
        scene_ready(&scene);
        call(&caller, &scene, false);
        assert_int_equal(caller.error, all[r] == said ? ERR_OK : ERR_UPSTREAM_CLOSED);
        assert_int_equal(caller.len, 5);
        attempt_close(&caller.attempt);
        scene_close(&scene);
    }
}

static void a_server_that_speaks_no_tls_is_not_reached(void **state)
{
    (void)state;
    static const struct act script[] = {SAY("HTTP/1.1 400 Bad Request\r\n\r\n"), END};
    const struct act *scripts[] = {script};
    struct scene scene;
    scene_open(&scene, scripts, 1);
    (void)snprintf(scene.url, sizeof(scene.url), "https://127.0.0.1:%u", scene.server.port);
    scene_ready(&scene);
    call(&caller, &scene, false);
    assert_int_equal(caller.error, ERR_UPSTREAM_CONNECT);
    attempt_close(&caller.attempt);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_is_believed_when_its_certificate_says_so),
        cmocka_unit_test(large_bodies_pass_both_ways),
        cmocka_unit_test(an_answer_without_a_length_ends_with_a_farewell_only),
        cmocka_unit_test(a_server_that_speaks_no_tls_is_not_reached),
    };
    return cmocka_run_group_tests(tests, make_identities, remove_identities);
}
