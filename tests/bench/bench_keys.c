/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_keys.c — what a call pays for knowing its caller, and what a million keys cost.
 *
 * Prints nanoseconds an operation: the fastest of many rounds, which is what the code costs when
 * nothing else disturbs it. Keys are checked in an order that the processor's caches cannot guess,
 * as a million callers would.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench_recorder.h"

#include "base/memory.h"
#include "crypto/base64.h"
#include "crypto/call_id.h"
#include "crypto/crc.h"
#include "crypto/random.h"
#include "keys/key_pepper.h"
#include "keys/keys_change.h"

#define ROUNDS  15
#define SAMPLE  20000 /* keys that are checked in one round */
#define MANY    1000000
#define FLOATS  8192
#define MUST(e) must((e), #e)
#define EACH(n) for (size_t at = 0; at < (n); at++)
#define NOW     ((wall_us){INT64_C(1795489200000000)})

static uint32_t sink; /* what was computed is used, or the compiler would not compute it */

static void must(enum err e, const char *what)
{
    if (e != ERR_OK) {
        (void)fprintf(stderr, "%s: %s\n", what, err_name(e));
        exit(1);
    }
}

static int64_t now_ns(void)
{
    return clock_mono().us * 1000;
}

static void say(const char *what, int64_t best_ns, size_t operations)
{
    printf("%-44s %9.1f ns\n", what, (double)best_ns / (double)operations);
}

#define BENCH(what, operations, code)                  \
    do {                                               \
        int64_t best = INT64_MAX;                      \
        for (int round = 0; round < ROUNDS; round++) { \
            int64_t began = now_ns();                  \
            EACH(operations)                           \
            {                                          \
                code;                                  \
            }                                          \
            int64_t took = now_ns() - began;           \
            best = took < best ? took : best;          \
        }                                              \
        say(what, best, operations);                   \
    } while (0)

static void bench_crypto(void)
{
    static uint8_t bytes[FLOATS * 4], again[FLOATS * 4];
    static char text[FLOATS * 4 / 3 * 4 + 8];
    struct crypto_hmac_key hmac;
    uint8_t mac[CRYPTO_SHA256_BYTES];
    struct key_text admin, live;
    struct key_parts parts;
    struct crypto_call_id id;
    crypto_random(bytes, sizeof(bytes));
    crypto_hmac_key_init(&hmac, span_make(bytes, 32));
    key_string_make(KEY_ADMIN, &admin);
    key_string_make(KEY_LIVE, &live);
    BENCH("HMAC-SHA-256 of 57 bytes", 100000, crypto_hmac(&hmac, span_of(admin.text), mac);
          sink += mac[0]);
    BENCH("HMAC-SHA-256 of 62 bytes", 100000, crypto_hmac(&hmac, span_of(live.text), mac);
          sink += mac[0]);
    BENCH("key_string_parse()", 100000,
          sink += (uint32_t)key_string_parse(span_of(live.text), &parts));
    BENCH("crypto_call_id_make()", 100000, crypto_call_id_make(NOW, &id); sink += id.bytes[9]);
    BENCH("CRC-32C of 512 bytes", 100000, sink += crypto_crc32c(sink, span_make(bytes, 512)));
    BENCH("CRC-32C of 512 bytes, by table", 100000,
          sink += crypto_crc32c_by_table(sink, span_make(bytes, 512)));
    size_t len = 0;
    BENCH("Base64 of 8,192 floats, written", 500,
          len = crypto_base64_write(span_make(bytes, sizeof(bytes)), text);
          sink += (uint8_t)text[at]);
    BENCH("Base64 of 8,192 floats, read", 500,
          MUST(crypto_base64_parse(span_make(text, len), again, sizeof(again), &len));
          sink += again[at]; len = crypto_base64_chars(sizeof(bytes)));
}

struct place {
    char folder[32], pepper[48], path[48];
    struct store *store;
    struct keys *keys;
    struct key_text *sample; /* SAMPLE keys, spread over all of them */
};

/* Makes `count` keys in the store. */
static void make_keys(struct place *p, size_t count)
{
    const struct key_wish wish = {.kind = KEY_LIVE, .name = SPAN("a service of some team")};
    char id[KEY_ID_CHARS + 1];
    struct key_text key;
    size_t samples = count < SAMPLE ? count : SAMPLE, stride = count / samples;
    const struct store_recorder recorder = bench_recorder(p->store);
    store_set_recorder(p->store, &recorder);
    int64_t start = now_ns();
    MUST(store_begin(p->store, STORE_SYNC_NOW));
    for (size_t i = 0; i < count; i++) {
        MUST(keys_create(p->keys, p->store, &wish, NOW, &key, id));
        if (i % stride == 0 && i / stride < samples) {
            p->sample[i / stride * 7919 % samples] = key;
        }
    }
    MUST(store_commit(p->store));
    store_set_recorder(p->store, NULL);
    say("keys_create() in one batch", now_ns() - start, count);
}

/* A key that was rotated: its own secret, and the one before. */
static void bench_two_secrets(struct place *p)
{
    struct key_handle handle;
    struct key_text now;
    struct store_key row;
    const struct key_rotation rotation = {.now = NOW, .grace_s = KEY_GRACE_S};
    struct key_parts parts;
    MUST(key_string_parse(span_of(p->sample[0].text), &parts));
    MUST(keys_rotate(p->keys, p->store, parts.id, &rotation, &row, &now));
    BENCH("keys_check() of a rotated key", 20000,
          MUST(keys_check(p->keys, span_of(now.text), KEY_USE_INFERENCE, NOW, &handle)));
    BENCH("keys_check() by the secret before", 20000,
          MUST(keys_check(p->keys, span_of(p->sample[0].text), KEY_USE_INFERENCE, NOW, &handle)));
}

static void bench_use(const struct place *p, const struct key_handle *handle)
{
    static const struct net_ip from = {{1}};
    BENCH("keys_note_use()", 100000, keys_note_use(p->keys, handle, &from, NOW));
}

static void bench_count(struct place *p, size_t count)
{
    struct key_handle handle;
    printf("\n%zu keys\n", count);
    MUST(keys_open(p->pepper, &p->keys));
    make_keys(p, count);
    keys_close(&p->keys);
    store_close(&p->store);
    int64_t start = now_ns();
    const struct store_settings settings = {.driver = "sqlite", .path = p->path, .busy_ms = 1000};
    MUST(store_open(&settings, &p->store));
    MUST(keys_open(p->pepper, &p->keys));
    struct keys_report report;
    MUST(keys_load(p->keys, p->store, NULL, &report));
    printf("%-44s %9.1f ms\n", "opened and loaded from SQLite in",
           (double)(now_ns() - start) / 1e6);
    size_t in_table = key_table_count(keys_table(p->keys));
    printf("%-44s %9.1f bytes\n", "in memory, each",
           (double)key_table_bytes(keys_table(p->keys)) / (double)in_table);
    size_t samples = count < SAMPLE ? count : SAMPLE;
    BENCH("keys_check()", samples,
          MUST(keys_check(p->keys, span_of(p->sample[at].text), KEY_USE_INFERENCE, NOW, &handle)));
    BENCH("keys_recheck()", 100000, MUST(keys_recheck(p->keys, &handle, NOW)));
    bench_two_secrets(p);
    bench_use(p, &handle);
    struct key_text unknown;
    key_string_make(KEY_LIVE, &unknown);
    BENCH("keys_check() of an unknown key", 20000,
          sink += keys_check(p->keys, span_of(unknown.text), KEY_USE_INFERENCE, NOW, &handle));
    keys_close(&p->keys);
}

int main(void)
{
    struct place p = {.folder = "/tmp/atlas-bench-XXXXXX"};
    bench_crypto();
    p.sample = memory_new_array(SAMPLE, sizeof(*p.sample));
    if (p.sample == NULL || mkdtemp(p.folder) == NULL) {
        return 1;
    }
    (void)snprintf(p.pepper, sizeof(p.pepper), "%s/pepper", p.folder);
    (void)snprintf(p.path, sizeof(p.path), "%s/sqlite", p.folder);
    MUST(key_pepper_make(p.pepper));
    const struct store_settings settings = {.driver = "sqlite", .path = p.path, .busy_ms = 1000};
    MUST(store_open(&settings, &p.store));
    bench_count(&p, 1000);
    bench_count(&p, MANY - 1000);
    store_close(&p.store);
    memory_free(p.sample);
    (void)unlink(p.pepper);
    (void)unlink(p.path);
    return rmdir(p.folder) == 0 && sink != 1 ? 0 : 1;
}
