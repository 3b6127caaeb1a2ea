/* SPDX-License-Identifier: Apache-2.0 */
#include "json_oracle.h"

#include <simdjson.h>

namespace {

struct listener {
    oracle_on_value on_value;
    void *ctx;

    void hear(char kind, const void *at, size_t len) const { on_value(ctx, kind, at, len); }

    template <typename T> void hear_number(char kind, T number) const
    {
        hear(kind, &number, sizeof(number));
    }
};

// NOLINTBEGIN(misc-no-recursion): no deeper than simdjson lets a text be, 1,024
void tell(const listener &to, simdjson::dom::element value);

void tell_members(const listener &to, simdjson::dom::object object)
{
    to.hear('O', nullptr, 0);
    for (auto member : object) {
        to.hear('K', member.key.data(), member.key.size());
        tell(to, member.value);
    }
    to.hear('o', nullptr, 0);
}

void tell_elements(const listener &to, simdjson::dom::array array)
{
    to.hear('A', nullptr, 0);
    for (auto element : array) {
        tell(to, element);
    }
    to.hear('a', nullptr, 0);
}

void tell(const listener &to, simdjson::dom::element value)
{
    using simdjson::dom::element_type;
    switch (value.type()) {
    case element_type::ARRAY:
        tell_elements(to, value.get_array().value_unsafe());
        break;
    case element_type::OBJECT:
        tell_members(to, value.get_object().value_unsafe());
        break;
    case element_type::STRING: {
        std::string_view text = value.get_string().value_unsafe();
        to.hear('S', text.data(), text.size());
        break;
    }
    case element_type::INT64:
        to.hear_number('I', value.get_int64().value_unsafe());
        break;
    case element_type::UINT64:
        to.hear_number('U', value.get_uint64().value_unsafe());
        break;
    case element_type::DOUBLE:
        to.hear_number('D', value.get_double().value_unsafe());
        break;
    case element_type::BOOL:
        to.hear(value.get_bool().value_unsafe() ? 't' : 'f', nullptr, 0);
        break;
    case element_type::NULL_VALUE:
        to.hear('n', nullptr, 0);
        break;
    }
}

// NOLINTEND(misc-no-recursion)

} // namespace

enum oracle_verdict json_oracle(const uint8_t *text, size_t len, oracle_on_value on_value,
                                void *ctx)
{
    static simdjson::dom::parser parser;
    auto result = parser.parse(reinterpret_cast<const char *>(text), len);
    switch (result.error()) {
    case simdjson::SUCCESS:
        tell({on_value, ctx}, result.value_unsafe());
        return ORACLE_ACCEPTS;
    case simdjson::NUMBER_ERROR:
        return ORACLE_NUMBER;
    case simdjson::STRING_ERROR:
        return ORACLE_STRING;
    case simdjson::DEPTH_ERROR:
        return ORACLE_DEPTH;
    default:
        return ORACLE_REJECTS;
    }
}
