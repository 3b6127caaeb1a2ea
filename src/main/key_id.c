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

bool main_key_id(const char *word, struct span *id)
{
    return read_id(word, id);
}

/* ---- by name ---- */

static bool is_text(const struct json_index *x, uint32_t object, const char *member,
                    const char *text)
{
    uint32_t row = json_find(x, object, span_of(member));
    return row != JSON_NONE && json_text_is(x, row, span_of(text));
}

/* Whether it is one of those that may be meant. */
static bool is_meant(const struct json_index *x, uint32_t key, enum main_key_state which)
{
    bool works = is_text(x, key, "status", "active");
    return which == MAIN_KEY_ANY || works == (which == MAIN_KEY_WORKS);
}

/* Those of this name that may be meant; the id of the last one is in `out`. */
static size_t count_named(const struct json_index *x, const char *name, enum main_key_state which,
                          char out[KEY_ID_CHARS + 1])
{
    uint32_t data = json_find(x, 0, SPAN("data"));
    size_t count = 0;
    for (uint32_t key = data == JSON_NONE ? JSON_NONE : json_first(x, data); key != JSON_NONE;
         key = json_next(x, key)) {
        uint32_t id = json_find(x, key, SPAN("id"));
        if (id != JSON_NONE && is_text(x, key, "name", name) && is_meant(x, key, which)) {
            span_copy_text(json_inside(x, id), out, KEY_ID_CHARS + 1);
            count++;
        }
    }
    return count;
}

static int pick(const char *command, const char *name, enum main_key_state which, struct span list,
                char out[KEY_ID_CHARS + 1])
{
    static const char *const none[] = {
        [MAIN_KEY_WORKS] = "there is no key of this id, and none that works is called",
        [MAIN_KEY_ENDED] = "there is no key of this id, and none that has ended is called",
        [MAIN_KEY_ANY] = "there is no key of this id, and none is called",
    };
    struct json_index x;
    json_index_init(&x, VALUES_MAX, DEPTH_MAX);
    enum err e = json_index_parse_borrow(&x, list);
    size_t count = e == ERR_OK ? count_named(&x, name, which, out) : 0;
    json_index_fini(&x);
    if (count != 1) {
        fprintf(stderr, "atlas %s: %s '%s'; `atlas key list` shows their ids\n", command,
                e != ERR_OK  ? err_sentence(e)
                : count == 0 ? none[which]
                             : "several keys are called",
                name);
    }
    return count == 1 ? CLI_GO_ON : count > 1 ? CLI_MISUSED : CLI_FAILED;
}

int main_key_find(const char *command, const char *config, const char *word,
                  enum main_key_state which, char out[KEY_ID_CHARS + 1])
{
    struct span id;
    struct buf all;
    if (read_id(word, &id)) {
        span_copy_text(id, out, KEY_ID_CHARS + 1);
        return CLI_GO_ON;
    }
    buf_init(&all, CLI_ANSWER_MAX);
    int status = cli_list_all(command, config, SPAN(ADMIN_KEYS_PATH), SPAN(""), &all);
    status = status == CLI_GO_ON ? pick(command, word, which, buf_span(&all), out) : status;
    buf_fini(&all);
    return status;
}

struct span main_key_path(struct span id, char out[MAIN_KEY_PATH_BYTES])
{
    int len = snprintf(out, MAIN_KEY_PATH_BYTES, ADMIN_KEYS_PATH "/%.*s", SPAN_ARGS(id));
    return span_make(out, (size_t)len); /* it fits */
}
