/* SPDX-License-Identifier: Apache-2.0 */
/* test_settings_files.c — lists within lists, models in a file of their own, and the data folder of
 * a file that is broken. */
#include "settings/settings_file.h"

#include <sys/resource.h>

static const char models_elsewhere[] = "models_file: other\n"
                                       "upstreams: {u: {url: 'http://127.0.0.1:1/v1'}}\n";

/* Opens f->path, which holds `text`, beside f->other; what is wrong, or an empty text. */
static void open_both(struct settings_file *f, const char *text, const char *other,
                      struct buf *problems, struct settings **out)
{
    settings_file_put(f->path, span_of(text));
    settings_file_put(f->other, span_of(other));
    buf_init(problems, 1u << 16);
    *out = NULL;
    enum err e = settings_open(f->path, problems, out);
    assert_int_equal(e == ERR_OK, *out != NULL);
    buf_put_byte(problems, '\0');
}

static void further_certificates_are_pairs_with_paths_from_the_files_folder(void **state)
{
    (void)state;
    struct settings_file f;
    struct settings *s;
    settings_file_begin(&f);
    char *problems = settings_file_open(
        &f,
        "listen:\n"
        "  - address: '127.0.0.1:1'\n"
        "    tls:\n"
        "      certificate: a.crt\n"
        "      key: a.key\n"
        "      sni:\n"
        "        - { certificate: b.crt, key: /b.key }\n"
        "        - certificate: c.crt\n"
        "          key: c.key\n"
        "  - address: '127.0.0.1:2'\n"
        "admin: { tls: { certificate: d, key: d, sni: [{ certificate: /e, key: /f }] } }\n",
        &s);
    assert_string_equal(problems, "");
    memory_free(problems);
    const struct server_listen *first = &s->server.listens[0];
    char path[128];
    snprintf(path, sizeof(path), "%s/b.crt", f.folder);
    assert_int_equal(first->tls_sni_count, 2);
    assert_string_equal(first->tls_sni[0].certificate, path);
    assert_string_equal(first->tls_sni[0].key, "/b.key");
    snprintf(path, sizeof(path), "%s/c.key", f.folder);
    assert_string_equal(first->tls_sni[1].key, path);
    assert_int_equal(s->server.listens[1].tls_sni_count, 0);
    assert_int_equal(s->admin.listen.tls_sni_count, 1);
    assert_string_equal(s->admin.listen.tls_sni[0].key, "/f");
    settings_close(&s);
    settings_file_end(&f);
}

static void models_may_stand_in_a_file_of_their_own(void **state)
{
    (void)state;
    struct settings_file f;
    struct settings *s;
    struct buf problems;
    settings_file_begin(&f);
    open_both(&f, models_elsewhere, "models: {a: {upstream: u}, b: {upstream: u, context: 7}}\n",
              &problems, &s);
    assert_string_equal(buf_span(&problems).at, "");
    assert_string_equal(s->models_file, f.other);
    assert_int_equal(s->gateway.models_count, 2);
    assert_string_equal(s->gateway.models[1].name, "b");
    assert_int_equal(s->gateway.models[1].context_tokens, 7);
    settings_close(&s);
    buf_fini(&problems);
    settings_file_end(&f);
}

static void what_is_wrong_with_models_is_said_with_their_files_name(void **state)
{
    (void)state;
    static const struct {
        const char *text, *other;
        const char *file, *says; /* which of the two has the problem, and where in it */
    } rows[] = {
        {models_elsewhere, "models: {a: {upstream: w}}\n", "other",
         ":1:24: there is no upstream 'w' — did you mean 'u'?\n"},
        {models_elsewhere, "models: {a: {}}\n", "other",
         ":1:10: models.a needs `upstream: …`, such as falcon-gpu, or `deployments:`\n"},
        {models_elsewhere, "data: /x\n", "other",
         ":1:1: unknown setting 'data'; `atlas config reference` lists them all\n"},
        {models_elsewhere, "models: {a: {upstream: u, contxt: 1}}\n", "other",
         ":1:27: unknown setting 'models.a.contxt' — did you mean 'context'?\n"},
        {models_elsewhere, "models: [\n", "other", ":2:1: "},
        {"models_file: other\nmodels: {}\n", "", "a.yaml", ":2:1: models stand in "},
        {"models_file: nowhere\n", "", "nowhere", ": cannot be read: No such file or directory\n"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct settings_file f;
        struct settings *s;
        struct buf problems;
        char expected[512];
        settings_file_begin(&f);
        open_both(&f, rows[r].text, rows[r].other, &problems, &s);
        const char *said = (const char *)buf_span(&problems).at;
        snprintf(expected, sizeof(expected), "%s/%s%s", f.folder, rows[r].file, rows[r].says);
        if (strncmp(said, expected, strlen(expected)) != 0) {
            fail_msg("row %zu: is \"%s\", not \"%s\"", r, said, expected);
        }
        assert_null(s);
        buf_fini(&problems);
        settings_file_end(&f);
    }
}

static void the_data_folder_is_found_whatever_else_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text, *data; /* NULL: it cannot be said */
    } rows[] = {
        {"data: /d\nlisten: 7\nmodels_file: nowhere\n", "/d"},
        {"data: /d\nupstreams: [\n", "/d"},
        {"zone: 'a\ndata: /d # here\n", "/d"},
        {"\tdata: /x\ndata: '/d'\n", "/d"},
        {"data: /d\ndata: /e\n", NULL},
        {"upstreams: [\n", NULL},
        {"zone: local\n", "/var/lib/atlas"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct settings_file f;
        struct settings *s = NULL;
        struct buf problems;
        settings_file_begin(&f);
        settings_file_put(f.path, span_of(rows[r].text));
        buf_init(&problems, 1u << 16);
        enum err e = settings_open_data(f.path, &problems, &s);
        assert_int_equal(e, rows[r].data == NULL ? ERR_CONFIG : ERR_OK);
        if (s != NULL) {
            assert_string_equal(s->data, rows[r].data);
        }
        settings_close(&s);
        buf_fini(&problems);
        settings_file_end(&f);
    }
}

static void want_of_descriptors_is_not_the_files_fault(void **state)
{
    (void)state;
    struct settings_file f;
    struct settings *s = NULL;
    struct buf problems;
    struct rlimit files, none;
    settings_file_begin(&f);
    settings_file_put(f.path, SPAN("zone: a\n"));
    buf_init(&problems, 4096);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = files.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum err e = settings_open(f.path, &problems, &s);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(e, ERR_NO_FILES);
    assert_null(s);
    buf_fini(&problems);
    settings_file_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(further_certificates_are_pairs_with_paths_from_the_files_folder),
        cmocka_unit_test(models_may_stand_in_a_file_of_their_own),
        cmocka_unit_test(what_is_wrong_with_models_is_said_with_their_files_name),
        cmocka_unit_test(the_data_folder_is_found_whatever_else_is_wrong),
        cmocka_unit_test(want_of_descriptors_is_not_the_files_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
