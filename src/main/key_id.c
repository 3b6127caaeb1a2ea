/* SPDX-License-Identifier: Apache-2.0 */
#include "main/key_id.h"

#include <stdio.h>

#include "cli/cli_ask.h"
#include "cli/cli_list.h"
#include "cli/cli_options.h"
#include "crypto/base62.h"
#include "json/json_value.h"

#define VALUES_MAX (1u << 26)
#define DEPTH_MAX  8

/* The id that the word is or holds; false: it does not. */
static bool read_id(const char *word, struct span *id)
{
    struct key_parts parts;
    *id = key_string_parse(span_of(word), &parts) == ERR_OK ? parts.id : span_of(word);
    return id->len == KEY_ID_CHARS && crypto_is_base62(*id);
}

int main_key_id(const char *command, const char *word, struct span *id)
{
    if (!read_id(word, id)) {
        fprintf(stderr, "atlas %s: '%s' is not a key's id; `atlas key list` shows them\n", command,
                word);
        return CLI_MISUSED;
    }
    return CLI_GO_ON;
}

/* ---- by name ---- */

static bool is_text(const struct json_index *x, uint32_t object, const char *member,
                    const char *text)
{
    uint32_t row = json_find(x, object, span_of(member));
    return row != JSON_NONE && json_text_is(x, row, span_of(text));
}

/* Those of this name that work; the id of the last one is in `out`. */
static size_t count_named(const struct json_index *x, const char *name, char out[KEY_ID_CHARS + 1])
{
    uint32_t data = json_find(x, 0, SPAN("data"));
    size_t count = 0;
    for (uint32_t key = data == JSON_NONE ? JSON_NONE : json_first(x, data); key != JSON_NONE;
         key = json_next(x, key)) {
        uint32_t id = json_find(x, key, SPAN("id"));
        if (id != JSON_NONE && is_text(x, key, "name", name) &&
            is_text(x, key, "status", "active")) {
            span_copy_text(json_inside(x, id), out, KEY_ID_CHARS + 1);
            count++;
        }
    }
    return count;
}

static int pick(const char *command, const char *name, struct span list, char out[KEY_ID_CHARS + 1])
{
    struct json_index x;
    json_index_init(&x, VALUES_MAX, DEPTH_MAX);
    enum err e = json_index_parse_borrow(&x, list);
    size_t count = e == ERR_OK ? count_named(&x, name, out) : 0;
    json_index_fini(&x);
    if (count != 1) {
        fprintf(stderr, "atlas %s: %s '%s'; `atlas key list` shows their ids\n", command,
                e != ERR_OK  ? err_sentence(e)
                : count == 0 ? "there is no key of this id, and none that works is called"
                             : "several keys are called",
                name);
    }
    return count == 1 ? CLI_GO_ON : e == ERR_OK ? CLI_MISUSED : CLI_FAILED;
}

int main_key_find(const char *command, const char *config, const char *word,
                  char out[KEY_ID_CHARS + 1])
{
    struct span id;
    struct buf all;
    if (read_id(word, &id)) {
        span_copy_text(id, out, KEY_ID_CHARS + 1);
        return CLI_GO_ON;
    }
    buf_init(&all, CLI_ANSWER_MAX);
    int status = cli_list_all(command, config, SPAN(ADMIN_KEYS_PATH), SPAN(""), &all);
    status = status == CLI_GO_ON ? pick(command, word, buf_span(&all), out) : status;
    buf_fini(&all);
    return status;
}

struct span main_key_path(struct span id, char out[MAIN_KEY_PATH_BYTES])
{
    int len = snprintf(out, MAIN_KEY_PATH_BYTES, ADMIN_KEYS_PATH "/%.*s", SPAN_ARGS(id));
    return span_make(out, (size_t)len); /* it fits */
}
