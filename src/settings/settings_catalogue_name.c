/* SPDX-License-Identifier: Apache-2.0 */
/* The plain form of a model's name: without who packed it and how, and whichever signs stand
 * between its parts. */
#include <stdio.h>
#include <string.h>

#include "settings/settings_catalogue.h"

/* Words at a name's end that tell how its weights are packed, or which file of them it is. */
static const char *const packings[] = {
    "gguf",    "ggml",    "awq",   "gptq",      "fp8",   "fp16",  "bf16",  "f16",    "f32",
    "fp4",     "nvfp4",   "int4",  "int8",      "3bit",  "4bit",  "6bit",  "8bit",   "bnb",
    "unsloth", "dynamic", "qat",   "quantized", "mlx",   "exl2",  "exl3",  "i1",     "ud",
    "imatrix", "imat",    "w4a16", "w8a8",      "w8a16", "mxfp4", "mxfp8", "latest", "of",
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* "q4_k_m", "iq3_xxs", "q8_0", "tq1_0". */
static bool is_quantisation(struct span word)
{
    size_t at = word.len > 0 && (word.at[0] == 'i' || word.at[0] == 't') ? 1 : 0;
    bool begins = word.len >= at + 2 && word.at[at] == 'q' && is_digit(word.at[at + 1]);
    return begins && (word.len == at + 2 || word.at[at + 2] == '_');
}

/* "00001", of "-00001-of-00003". */
static bool is_part(struct span word)
{
    size_t digits = 0;
    while (digits < word.len && is_digit(word.at[digits])) {
        digits++;
    }
    return word.len == 5 && digits == 5;
}

static bool is_packing(struct span word)
{
    for (size_t i = 0; i < sizeof(packings) / sizeof(packings[0]); i++) {
        if (span_is(word, packings[i])) {
            return true;
        }
    }
    return is_quantisation(word) || is_part(word);
}

/* Takes off words of packing, one behind the other. What is nothing else keeps the first. */
static struct span unpack(struct span name)
{
    for (;;) {
        size_t at = name.len;
        while (at > 0 && memchr("-:.", name.at[at - 1], 3) == NULL) {
            at--;
        }
        if (at <= 1 || !is_packing(span_cut(name, at, name.len))) {
            return name;
        }
        name = span_cut(name, 0, at - 1);
    }
}

void settings_catalogue_plain(struct span name, char out[CATALOGUE_NAME_BYTES])
{
    uint8_t small[CATALOGUE_NAME_BYTES];
    size_t begin = name.len, len = 0;
    while (begin > 0 && name.at[begin - 1] != '/' && name.at[begin - 1] != '\\') {
        begin--;
    }
    struct span rest = span_cut(name, begin, CATALOGUE_NAME_BYTES - 1);
    for (size_t i = 0; i < rest.len; i++) {
        bool is_capital = rest.at[i] >= 'A' && rest.at[i] <= 'Z';
        small[i] = (uint8_t)(is_capital ? rest.at[i] + ('a' - 'A') : rest.at[i]);
    }
    rest = unpack(span_make(small, rest.len));
    bool is_between = false;
    for (size_t i = 0; i < rest.len; i++) {
        uint8_t c = rest.at[i];
        if (memchr("-_: ", c, 4) != NULL) {
            is_between = true;
            continue;
        }
        /* A sign between two numbers keeps them apart: "3-1b" is not "31b". */
        if (is_between && len > 0 && is_digit((uint8_t)out[len - 1]) && is_digit(c)) {
            out[len++] = '-';
        }
        is_between = false;
        out[len++] = (char)c;
    }
    out[len] = '\0';
}
