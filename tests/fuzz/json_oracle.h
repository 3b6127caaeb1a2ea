/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_oracle.h — what simdjson's DOM says of a text, for comparing with json_index.h.
 *
 * Threads  one at a time.
 */
#ifndef TESTS_FUZZ_JSON_ORACLE_H
#define TESTS_FUZZ_JSON_ORACLE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum oracle_verdict {
    ORACLE_ACCEPTS,
    ORACLE_REJECTS,
    ORACLE_NUMBER, /* it cannot hold a number: not by itself wrong JSON */
    ORACLE_STRING, /* it cannot make text of a string, such as half a surrogate pair */
    ORACLE_DEPTH   /* too deep for it */
};

/* Told of each value and key in the order of the text. `kind` is a letter: n f t, A O and a and o
 * where they end, K and S with what they say, I U D with the number's eight bytes. */
typedef void (*oracle_on_value)(void *ctx, char kind, const void *at, size_t len);

enum oracle_verdict json_oracle(const uint8_t *text, size_t len, oracle_on_value on_value,
                                void *ctx);

#ifdef __cplusplus
}
#endif

#endif
