/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_json_write.c — any bytes written as a string are strict JSON, and read back as the bytes
 * themselves if those were UTF-8.
 */
#include "fuzz.h"

#include <stdlib.h>

#include "json/json_scan.h"
#include "json/json_value.h"
#include "json/json_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_index x;
    struct json_writer w;
    struct buf out;
    struct span text = span_make(data, size);
    json_index_init(&x, 16, 16);
    buf_init(&out, SIZE_MAX / 2);
    json_write_init(&w, &out);
    json_write_object(&w);
    json_write_key_span(&w, text);
    json_write_string(&w, text);
    json_write_end(&w);
    CHECK(json_write_finish(&w) == ERR_OK);
    CHECK(json_index_parse_borrow(&x, buf_span(&out)) == ERR_OK && x.count == 3);
    size_t good = json_scan_utf8_portable(text);
    CHECK(json_scan_utf8(text) == good);
    CHECK(json_text_is(&x, 1, text) == (good == size));
    uint8_t *back = malloc(json_inside(&x, 2).len + 1);
    size_t len = json_unescape(&x, 2, back, NULL);
    CHECK(json_scan_utf8(span_make(back, len)) == len);
    CHECK(good < size || span_equal(span_make(back, len), text));
    free(back);
    buf_fini(&out);
    json_index_fini(&x);
    return 0;
}
