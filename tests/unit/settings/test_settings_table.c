/* SPDX-License-Identifier: Apache-2.0 */
/* test_settings_table.c — settings.def agrees with itself and with the pages written from it. */
#include "settings/settings_file.h"

#include "settings/settings_table.h"
#include "settings/settings_value.h"
#include "settings/settings_write.h"

static void numbers_are_read_in_their_units(void **state)
{
    (void)state;
    static const struct {
        enum settings_kind kind;
        const char *text;
        bool ok;
        int64_t number;
    } rows[] = {
        {SETTINGS_COUNT, "42", true, 42},
        {SETTINGS_COUNT, "4 2", false, 0},
        {SETTINGS_COUNT, "", false, 0},
        {SETTINGS_COUNT, "9223372036854775807", true, INT64_MAX},
        {SETTINGS_COUNT, "9223372036854775808", false, 0},
        {SETTINGS_SIZE, "0", true, 0},
        {SETTINGS_SIZE, "100", true, 100},
        {SETTINGS_SIZE, "64KiB", true, 65536},
        {SETTINGS_SIZE, "64 KiB", true, 65536},
        {SETTINGS_SIZE, "64kib", false, 0},
        {SETTINGS_SIZE, "64KB", false, 0},
        {SETTINGS_SIZE, "1.5MiB", false, 0},
        {SETTINGS_SIZE, "KiB", false, 0},
        {SETTINGS_SIZE, "8388608TiB", false, 0},
        {SETTINGS_DURATION, "250ms", true, 250},
        {SETTINGS_DURATION, "2s", true, 2000},
        {SETTINGS_DURATION, "10m", true, 600000},
        {SETTINGS_DURATION, "1d", true, 86400000},
        {SETTINGS_DURATION, "0", true, 0},
        {SETTINGS_DURATION, "2", false, 0},
        {SETTINGS_DURATION, "2us", false, 0},
        {SETTINGS_SECONDS, "10m", true, 600},
        {SETTINGS_SECONDS, "10ms", false, 0},
        {SETTINGS_PRICE, "0.20", true, 200000000},
        {SETTINGS_PRICE, "12", true, 12000000000},
        {SETTINGS_PRICE, "0.000000001", true, 1},
        {SETTINGS_PRICE, "0.0000000001", false, 0},
        {SETTINGS_PRICE, "1.", false, 0},
        {SETTINGS_PRICE, ".5", false, 0},
        {SETTINGS_PRICE, "-1", false, 0},
        {SETTINGS_PRICE, "9223372036", false, 0},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        int64_t number = 0;
        bool ok = settings_number_read(rows[r].kind, span_of(rows[r].text), &number);
        if (ok != rows[r].ok || number != rows[r].number) {
            fail_msg("\"%s\" was read as %d, %lld", rows[r].text, ok, (long long)number);
        }
    }
}

static void paths_are_unique_and_rows_complete(void **state)
{
    (void)state;
    const struct settings_table *t = &settings_main;
    for (size_t i = 0; i < t->rows_count; i++) {
        const struct settings_row *row = &t->rows[i];
        assert_ptr_equal(settings_row_find(t, row->path), row);
        assert_true(strlen(row->help) > 10);
        bool is_number = row->kind >= SETTINGS_COUNT && row->kind <= SETTINGS_PRICE;
        assert_int_equal(is_number, row->most[0] != '\0');
    }
}

static void a_file_of_another_form_has_the_rows_of_its_own_table_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_models.rows_count; i++) {
        const struct settings_row *row = &settings_models.rows[i];
        const struct settings_row *same = settings_row_find(&settings_main, row->path);
        assert_non_null(same); /* it may stand in the main file, too */
        assert_int_equal(same->offset, row->offset);
    }
    assert_null(settings_row_find(&settings_models, "data"));
    assert_null(settings_collection_find(&settings_models, "upstreams"));
    assert_non_null(settings_collection_find(&settings_models, "models"));
}

static void an_entry_of_the_catalogue_has_a_table_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_entries.rows_count; i++) {
        const struct settings_row *row = &settings_entries.rows[i];
        assert_ptr_equal(settings_row_find(&settings_entries, row->path), row);
        assert_true(strlen(row->help) > 10);
    }
    assert_null(settings_row_find(&settings_entries, "models.*.upstream"));
}

static void a_setting_is_of_the_innermost_collection(void **state)
{
    (void)state;
    static const struct {
        const char *path, *collection;
    } rows[] = {{"listen[].tls.sni[].key", "listen[].tls.sni[]"},
                {"listen[].tls.key", "listen[]"},
                {"admin.tls.sni[].certificate", "admin.tls.sni[]"},
                {"models.*.price.per", "models.*"}};
    for (size_t r = 0; r < ROWS(rows); r++) {
        const struct settings_collection *c = settings_collection_of(&settings_main, rows[r].path);
        assert_non_null(c);
        assert_string_equal(c->path, rows[r].collection);
    }
    assert_null(settings_collection_of(&settings_main, "admin.tls.key"));
}

static struct settings *open_page(struct settings_file *f, struct buf *page)
{
    struct settings *s;
    buf_put_byte(page, '\0');
    assert_false(buf_failed(page));
    char *problems = settings_file_open(f, (const char *)buf_span(page).at, &s);
    if (s == NULL) {
        fail_msg("%s", problems);
    }
    memory_free(problems);
    return s;
}

static void the_sample_is_valid_and_names_its_data_folder(void **state)
{
    (void)state;
    static const char *const folders[] = {"/var/lib/atlas", "/home/me/my \"data\" # 1", "/a: b\\c"};
    struct settings_file f;
    settings_file_begin(&f);
    for (size_t i = 0; i < ROWS(folders); i++) {
        struct buf page;
        buf_init(&page, 1u << 20);
        settings_write_sample(folders[i], &page);
        struct settings *s = open_page(&f, &page);
        assert_string_equal(s->data, folders[i]);
        settings_close(&s);
        buf_fini(&page);
    }
    settings_file_end(&f);
}

/* The sample without the # that stands before a setting. */
static void uncomment(struct span sample, struct buf *out)
{
    bool is_external = false; /* which no version asks yet: refused */
    while (sample.len > 0) {
        struct span line = span_cut(sample, 0, span_find(sample, '\n', 0) + 1);
        size_t hash = span_find(line, '#', 0);
        is_external = span_starts(line, SPAN("  #external")) || (is_external && line.len > 1);
        bool is_setting =
            !is_external && !span_starts(line, SPAN("      #file:")) && /* or `words:` */
            hash + 1 < line.len && line.at[hash + 1] != ' ' &&
            !span_starts(line, SPAN("    #upstream")) && /* or `deployments:` */
            !span_starts(line, SPAN("#models_file")) &&  /* or `models:` */
            !span_starts(line, SPAN("#catalogue:")) &&   /* which would have to be there, */
            !span_starts(line, SPAN("#routing:"));       /* as would this */
        if (is_setting) {
            buf_put(out, span_cut(line, 0, hash));
            buf_put(out, span_cut(line, hash + 1, line.len));
        } else {
            buf_put(out, line);
        }
        sample = span_cut(sample, line.len, sample.len);
    }
}

static void every_setting_of_the_sample_can_be_set(void **state)
{
    (void)state;
    struct settings_file f;
    struct buf sample;
    struct buf page;
    settings_file_begin(&f);
    buf_init(&sample, 1u << 20);
    buf_init(&page, 1u << 20);
    settings_file_setenv("FALCON_KEY", "sk");
    settings_write_sample("/data", &sample);
    for (size_t i = 0; i < settings_main.rows_count; i++) {
        const char *path = settings_main.rows[i].path;
        const char *name = strrchr(path, '.');
        char line[64];
        snprintf(line, sizeof(line), "%s: ", name == NULL ? path : name + 1);
        assert_non_null(memmem(buf_span(&sample).at, buf_span(&sample).len, line, strlen(line)));
    }
    uncomment(buf_span(&sample), &page);
    struct settings *s = open_page(&f, &page);
    assert_int_equal(s->server.listens_count, 1);
    assert_non_null(s->server.listens[0].tls_key);
    assert_int_equal(s->server.listens[0].tls_sni_count, 1);
    assert_string_equal(s->server.listens[0].tls_sni[0].key, "/etc/atlas/other.key");
    assert_int_equal(s->admin.listen.tls_sni_count, 1);
    assert_string_equal(s->upstream.definitions[0].name, "falcon-gpu");
    assert_string_equal(s->gateway.models[0].name, "arabic-large");
    assert_int_equal(s->gateway.models[0].prices_count, 2);
    for (size_t i = 0; i < 2; i++) { /* who takes each # away has no model that is free */
        const struct policy_price *price = &s->gateway.models[0].prices[i];
        assert_true(price->input_nano > 0 && price->output_nano > 0 && price->cached_nano > 0);
    }
    settings_close(&s);
    buf_fini(&sample);
    buf_fini(&page);
    settings_file_end(&f);
}

static void the_reference_page_is_what_the_program_prints(void **state)
{
    (void)state;
    const char *root = secure_getenv("ATLAS_SOURCE");
    char path[4096];
    struct buf page;
    if (root == NULL) {
        skip(); /* the build sets it */
    }
    snprintf(path, sizeof(path), "%s/docs/reference/settings.md", root);
    buf_init(&page, 1u << 20);
    settings_write_reference(&page);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    struct span expect = buf_span(&page);
    char *have = memory_new(expect.len + 1);
    assert_non_null(have);
    size_t len = fread(have, 1, expect.len + 1, file);
    assert_int_equal(fclose(file), 0);
    if (!span_equal(span_make(have, len), expect)) {
        fail_msg("write it anew: build/atlas config reference > docs/reference/settings.md");
    }
    memory_free(have);
    buf_fini(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_in_their_units),
        cmocka_unit_test(paths_are_unique_and_rows_complete),
        cmocka_unit_test(a_file_of_another_form_has_the_rows_of_its_own_table_only),
        cmocka_unit_test(an_entry_of_the_catalogue_has_a_table_of_its_own),
        cmocka_unit_test(a_setting_is_of_the_innermost_collection),
        cmocka_unit_test(the_sample_is_valid_and_names_its_data_folder),
        cmocka_unit_test(every_setting_of_the_sample_can_be_set),
        cmocka_unit_test(the_reference_page_is_what_the_program_prints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
