/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_admin.c — what the admin API reads as a key, a query or a path keeps its table's rules; and
 * a key that was read, is written, and what was written is read as the same key.
 *
 * The input's first byte says what the rest is.
 */
#include "fuzz.h"

#include "admin/admin_operations.h"
#include "base/arena.h"
#include "json/json_scan.h"

#define NOW          ((wall_us){INT64_C(1795489200000000)})
#define PRINTABLE_AT 255

static void check_key(const struct admin_key *key, uint64_t given, enum admin_use use)
{
    CHECK((given & ADMIN_GAVE(key, id)) == 0 && (given & ADMIN_GAVE(key, key)) == 0);
    CHECK((given & ADMIN_GAVE(key, status)) == 0 && (given & ADMIN_GAVE(key, revoked_at)) == 0);
    CHECK(use == ADMIN_CHANGES || (given & ADMIN_GAVE(key, name)) != 0);
    CHECK(use == ADMIN_MAKES || (given & ADMIN_GAVE(key, kind)) == 0);
    if ((given & ADMIN_GAVE(key, name)) != 0) {
        CHECK(key->name.len >= 1 && key->name.len <= PRINTABLE_AT);
        CHECK(json_scan_utf8(key->name) == key->name.len);
    }
    CHECK(key->kind >= 0 && key->kind <= 2);
    CHECK(key->scopes < 1U << 4);
    CHECK(key->role >= 0 && key->role <= KEY_ROLES);
    CHECK((given & ADMIN_GAVE(key, scopes)) == 0 || key->scopes != 0);
    CHECK(key->expires_at.us == 0 || key->expires_at.us > NOW.us);
}

/* Writes what was read as a request again, and reads that. */
static void again(const struct admin_key *key, uint64_t given, struct arena *arena)
{
    struct buf whole, body;
    struct json_writer w;
    struct json_index x;
    struct admin_key back = {0};
    struct admin_fault fault;
    struct admin_reading reading = {
        .object = ADMIN_OBJECT_key, .use = ADMIN_MAKES, .arena = arena, .fault = &fault};
    buf_init(&whole, 1u << 16);
    buf_init(&body, 1u << 16);
    json_index_init(&x, 256, 4);
    json_write_init(&w, &whole);
    admin_object_write(&w, ADMIN_OBJECT_key, key);
    CHECK(json_write_finish(&w) == ERR_OK);
    CHECK(json_index_parse_borrow(&x, buf_span(&whole)) == ERR_OK);
    json_write_init(&w, &body);
    json_write_object(&w);
    size_t count;
    const struct admin_field *f = admin_fields(ADMIN_OBJECT_key, &count);
    for (size_t i = 0; i < count; i++) {
        if ((given >> i & 1) != 0) {
            json_write_key(&w, f[i].name);
            json_write_raw(&w, json_source(&x, json_find(&x, 0, span_of(f[i].name))));
        }
    }
    json_write_end(&w);
    CHECK(json_write_finish(&w) == ERR_OK);
    reading.body = buf_span(&body);
    CHECK(admin_object_read(&reading, &back) == ERR_OK);
    CHECK(reading.given == given && span_equal(back.name, key->name) && back.kind == key->kind);
    CHECK(back.scopes == key->scopes &&
          back.expires_at.us / 1000000 == key->expires_at.us / 1000000);
    json_index_fini(&x);
    buf_fini(&body);
    buf_fini(&whole);
}

static void read_key(struct span text, enum admin_use use)
{
    struct arena arena;
    struct admin_key key = {0};
    struct admin_fault fault = {.param = ""};
    struct admin_reading reading = {.object = ADMIN_OBJECT_key,
                                    .use = use,
                                    .body = text,
                                    .now = NOW,
                                    .arena = &arena,
                                    .fault = &fault};
    arena_init(&arena, 1u << 20);
    enum err e = admin_object_read(&reading, &key);
    if (e == ERR_OK) {
        check_key(&key, reading.given, use);
        if (use == ADMIN_MAKES) {
            again(&key, reading.given, &arena);
        }
    } else if (e == ERR_VALUE_INVALID || e == ERR_VALUE_MISSING) {
        CHECK(fault.message[0] != '\0');
        CHECK(memchr(fault.message, '\0', sizeof(fault.message)) != NULL);
        CHECK(memchr(fault.param, '\0', sizeof(fault.param)) != NULL);
    }
    arena_fini(&arena);
}

static void read_query(struct span text, const struct admin_route *route)
{
    struct admin_params params;
    struct admin_fault fault = {.param = ""};
    size_t count;
    const struct admin_param *rows = admin_route_params(route, &count);
    if (admin_params_read(route, text, &params, &fault) != ERR_OK) {
        CHECK(fault.message[0] != '\0');
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (params.at[i].is_given && rows[i].kind == ADMIN_INT) {
            CHECK(params.at[i].number >= rows[i].least && params.at[i].number <= rows[i].most);
        }
        CHECK(params.at[i].text.len <= ADMIN_PARAM_BYTES);
    }
}

static void read_path(struct span text)
{
    const struct admin_route *route = NULL;
    struct span name;
    char allow[ADMIN_METHODS_TEXT];
    for (int method = 0; method < HTTP_METHOD_COUNT; method++) {
        if (admin_route_find((enum http_method)method, text, &route, &name) == ERR_OK) {
            CHECK((strchr(route->path, '{') != NULL) == (name.len > 0));
            CHECK(span_find(name, '/', 0) == name.len);
        }
    }
    CHECK(admin_methods(text, allow) == strlen(allow));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct span text = span_make(data + 1, size - 1);
    wall_us unused;
    switch (data[0] % 5) {
    case 0:
        read_key(text, ADMIN_MAKES);
        break;
    case 1:
        read_key(text, ADMIN_CHANGES);
        break;
    case 2:
        read_query(text, admin_route((enum admin_route_number)(data[0] / 5 % ADMIN_ROUTES)));
        break;
    case 3:
        read_path(text);
        break;
    default:
        if (admin_time_read(text, &unused)) {
            CHECK(unused.us >= 0);
        }
    }
    return 0;
}
