/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_text_language.c — any bytes have a language, with a confidence in its range. */
#include "fuzz.h"

#include "text/text_language.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text_language l = text_language_of(span_make(data, size));
    CHECK(l.language != NULL && strlen(l.script) == 4);
    CHECK(l.permille >= 0 && l.permille <= 1000);
    CHECK(strlen(text_dialect_of(span_make(data, size))) == 3);
    return 0;
}
