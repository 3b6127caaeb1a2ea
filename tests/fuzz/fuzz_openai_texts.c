/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_openai_texts.c — no text is passed over and none is told twice, in slices of whatever size;
 * and what its pieces say is what it says.
 *
 * An input's first byte says how many rows a slice has (its low bits), and whether the rest is an
 * answer. Which strings may be passed over is told here once more, by the last key around them.
 */
#include "fuzz.h"

#include <stdlib.h>

#include "base/arena.h"
#include "openai/openai_texts.h"
#include "json/json_value.h"

#define ROWS_MAX  100000
#define DEPTH_MAX 160

/* Keys whose string is a word from a list, an id, or a model's name: somewhere. */
static const char *const words[] = {
    "model",
    "stream",
    "top_p",
    "max_tokens",
    "temperature",
    "tool_choice",
    "stream_options",
    "encoding_format",
    "response_format",
    "logit_bias",
    "function_call",
    "routing",
    "routing_preference",
    "audio",
    "modalities",
    "reasoning_effort",
    "verbosity",
    "service_tier",
    "prompt_cache_options",
    "prompt_cache_retention",
    "profile",
    "ttl",
    "mode",
    "type",
    "strict",
    "function",
    "custom",
    "allowed_tools",
    "tools",
    "voice",
    "format",
    "role",
    "tool_call_id",
    "prefix",
    "id",
    "index",
    "detail",
    "file_id",
    "object",
    "created",
    "usage",
    "timings",
    "system_fingerprint",
    "obfuscation",
    "finish_reason",
};

/* The key around a row at which it stands, or an array of arrays of it; JSON_NONE at the top. */
static uint32_t key_around(const struct json_index *x, uint32_t row)
{
    uint32_t at = row;
    for (;;) {
        if (at > 0 && json_kind(x, at - 1) == JSON_KEY) {
            return at - 1;
        }
        uint32_t outer = at;
        do {
            if (outer == 0) {
                return JSON_NONE;
            }
            outer--;
        } while (x->rows[outer].depth >= x->rows[at].depth);
        at = outer;
    }
}

/* Whether a key below `usage` and the like leads to the string, which is then a word too. */
static bool is_below_numbers(const struct json_index *x, uint32_t key)
{
    static const char *const numbers[] = {"usage", "timings", "logit_bias", "stream_options"};
    for (uint32_t at = key; at != JSON_NONE;) {
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
            if (json_text_is(x, at, span_of(numbers[i]))) {
                return true;
            }
        }
        uint32_t object = at;
        do {
            object--;
        } while (x->rows[object].depth >= x->rows[at].depth);
        at = key_around(x, object);
    }
    return false;
}

static void check_passed_over(const struct json_index *x, uint32_t row)
{
    uint32_t key = key_around(x, row);
    CHECK(key != JSON_NONE);
    if (json_text_is(x, key, SPAN("embedding"))) {
        return;
    }
    CHECK(x->rows[row].len <= OPENAI_WORD_MAX + 2);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (json_text_is(x, key, span_of(words[i]))) {
            return;
        }
    }
    CHECK(is_below_numbers(x, key));
}

static void check_pieces(const struct json_index *x, uint32_t row, size_t most)
{
    struct json_reader reader;
    struct span inside = json_inside(x, row), piece;
    uint8_t *whole = malloc(inside.len + 1);
    CHECK(whole != NULL);
    size_t len = json_unescape(x, row, whole, NULL), at = 0;
    json_reader_init(&reader, x, row);
    while ((piece = json_reader_next(&reader, most)).len > 0) {
        CHECK(piece.len <= most && (piece.at[0] & 0xc0) != 0x80);
        CHECK(span_equal(piece, span_cut(span_make(whole, len), at, piece.len)));
        at += piece.len;
    }
    CHECK(at == len);
    free(whole);
}

static void walk(const struct json_index *x, enum openai_texts_kind kind, uint32_t slice)
{
    struct openai_texts t;
    struct openai_text text;
    enum openai_texts_step step = OPENAI_TEXTS_LATER;
    uint32_t row = 0;
    openai_texts_begin(&t, x, kind);
    do {
        uint32_t rows = slice;
        step = openai_texts_next(&t, &rows, &text);
        CHECK(rows < slice || step == OPENAI_TEXTS_END);
        uint32_t until = step == OPENAI_TEXTS_ONE ? text.row : t.row;
        for (; row < until; row++) {
            if (x->rows[row].kind == JSON_STRING) {
                check_passed_over(x, row);
            }
        }
        if (step == OPENAI_TEXTS_ONE) {
            CHECK(row == text.row && t.row == row + 1 && text.channel < OPENAI_CHANNELS);
            CHECK(x->rows[row].kind == JSON_STRING || x->rows[row].kind == JSON_KEY);
            CHECK((text.channel == OPENAI_TEXT_MEDIA) == (text.media != OPENAI_MEDIA_NONE) ||
                  x->rows[row].kind == JSON_KEY);
            CHECK(kind == OPENAI_TEXTS_ANSWER || text.choice == -1);
            check_pieces(x, row++, 16 + slice);
        }
    } while (step != OPENAI_TEXTS_END);
    CHECK(row == x->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_index x;
    if (size < 1) {
        return 0;
    }
    json_index_init(&x, ROWS_MAX, DEPTH_MAX);
    if (json_index_parse_borrow(&x, span_make(data + 1, size - 1)) == ERR_OK) {
        walk(&x, (data[0] & 0x40) != 0 ? OPENAI_TEXTS_ANSWER : OPENAI_TEXTS_REQUEST,
             1 + (data[0] & 0x3f));
    }
    json_index_fini(&x);
    return 0;
}
