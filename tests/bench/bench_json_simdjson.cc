/* SPDX-License-Identifier: Apache-2.0 */
#include <simdjson.h>

extern "C" bool bench_simdjson(const uint8_t *text, size_t len);

bool bench_simdjson(const uint8_t *text, size_t len)
{
    static simdjson::dom::parser parser;
    return parser.parse(reinterpret_cast<const char *>(text), len).error() == simdjson::SUCCESS;
}
