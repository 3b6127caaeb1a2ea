/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_text_code.c — of any bytes a share is code, and of what stands in a fence all. */
#include "fuzz.h"

#include "text/text_code.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char fence[] = "~~~~~~~~~~\n";
    uint8_t fenced[TEXT_CODE_BYTES];
    size_t room = sizeof(fenced) - (sizeof(fence) - 1), len = size < room ? size : room;
    int permille = text_code_permille(span_make(data, size));
    CHECK(permille >= 0 && permille <= 1000);
    memcpy(fenced, fence, sizeof(fence) - 1);
    if (len > 0 && memchr(data, '~', len) == NULL) {
        memcpy(fenced + sizeof(fence) - 1, data, len);
        permille = text_code_permille(span_make(fenced, sizeof(fence) - 1 + len));
        CHECK(permille == 1000 || permille == 0); /* 0: there are blanks alone */
    }
    return 0;
}
