/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/upstream_refusal.h"

#include <stdio.h>

#define LOOKED_AT_BYTES (16 * 1024) /* who was refused is named early */
#define NOT_ACCEPTABLE  406         /* of what Accept and its kin ask for */

static bool is_name_byte(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '_';
}

/* Whether `word` stands in `text`, in letters of either case; `whole`: not as part of a name. */
static bool has_word(struct span text, const char *word, bool whole)
{
    struct span wanted = span_of(word);
    size_t at = 0;
    while ((at = span_find_nocase(text, wanted, at)) < text.len) {
        size_t end = at + wanted.len;
        bool is_part = whole && ((at > 0 && is_name_byte(text.at[at - 1])) ||
                                 (end < text.len && is_name_byte(text.at[end])));
        if (!is_part) {
            return true;
        }
        at++;
    }
    return false;
}

static bool has_any(struct span text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (has_word(text, words[i], false)) {
            return true;
        }
    }
    return false;
}

static bool names_stream_options(struct span text)
{
    static const char *const words[] = {"stream_options", "stream options", "streamoptions",
                                        "include_usage"};
    return has_any(text, words, sizeof(words) / sizeof(words[0]));
}

static bool names_max_tokens(struct span text)
{
    static const char *const words[] = {"max_tokens",
                                        "max tokens",
                                        "maxtokens",
                                        "max_completion_tokens",
                                        "max completion tokens",
                                        "maxcompletiontokens"};
    return has_any(text, words, sizeof(words) / sizeof(words[0]));
}

/* Via and Accept are words of other meanings too. */
static bool names_header(struct span text)
{
    static const char *const words[] = {"via", "accept", "accept-encoding"};
    if (has_word(text, "x-request-id", true)) {
        return true;
    }
    if (!has_word(text, "header", false)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (has_word(text, words[i], true)) {
            return true;
        }
    }
    return false;
}

uint32_t upstream_refusal_read(int status, struct span body)
{
    struct span text = span_cut(body, 0, LOOKED_AT_BYTES);
    if (status == NOT_ACCEPTABLE) {
        return UPSTREAM_ADDS_HEADERS;
    }
    if (status != 400 && status != 422) {
        return 0;
    }
    return (names_stream_options(text) ? (uint32_t)UPSTREAM_ADDS_STREAM_OPTIONS : 0) |
           (names_header(text) ? (uint32_t)UPSTREAM_ADDS_HEADERS : 0) |
           (names_max_tokens(text) ? (uint32_t)UPSTREAM_ADDS_MAX_TOKENS : 0);
}

bool upstream_refusal_names_number(struct span body, int64_t number)
{
    char digits[24];
    (void)snprintf(digits, sizeof(digits), "%lld", (long long)number); /* fits */
    return has_word(span_cut(body, 0, LOOKED_AT_BYTES), digits, true);
}
