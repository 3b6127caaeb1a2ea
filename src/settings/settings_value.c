/* SPDX-License-Identifier: Apache-2.0 */
#include "settings/settings_value.h"

#include "admin/admin_objects.h"
#include "base/value.h"
#include "http/http_url.h"
#include "net/net_listen.h"

#define TEXTS_MAX        1024
#define PRICE_DECIMALS   9
#define PRICE_ONE        1000000000
#define CURRENCY_LETTERS 3
#define DAY_US           INT64_C(86400000000)

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit size_units[] = {
    {"", 1},          {"B", 1},         {"KiB", 1 << 10},
    {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", (int64_t)1 << 40},
    {NULL, 0},
};

static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 86400 * 1000}, {NULL, 0},
};

static const struct unit second_units[] = {
    {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {NULL, 0},
};

static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

/* "64KiB", "64 KiB": digits, then one of the units. */
static bool read_with_unit(struct span text, const struct unit *units, int64_t *out)
{
    size_t digits = 0;
    uint64_t number;
    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9') {
        digits++;
    }
    struct span unit = span_trim(span_cut(text, digits, text.len));
    for (; units->name != NULL; units++) {
        if (!span_is(unit, units->name)) {
            continue;
        }
        if (!span_to_u64(span_cut(text, 0, digits), (uint64_t)(INT64_MAX / units->factor),
                         &number)) {
            return false;
        }
        *out = (int64_t)number * units->factor;
        return true;
    }
    return false;
}

/* "0.20" in billionths. */
static bool read_price(struct span text, int64_t *out)
{
    size_t dot = span_find(text, '.', 0);
    struct span decimals = span_cut(text, dot + 1, text.len);
    uint64_t whole;
    uint64_t part = 0;
    if (!span_to_u64(span_cut(text, 0, dot), INT64_MAX / PRICE_ONE - 1, &whole)) {
        return false;
    }
    if (dot < text.len &&
        (decimals.len > PRICE_DECIMALS || !span_to_u64(decimals, PRICE_ONE - 1, &part))) {
        return false;
    }
    for (size_t i = dot < text.len ? decimals.len : PRICE_DECIMALS; i < PRICE_DECIMALS; i++) {
        part *= 10;
    }
    *out = (int64_t)(whole * PRICE_ONE + part);
    return true;
}

bool settings_number_read(enum settings_kind kind, struct span text, int64_t *out)
{
    bool is_zero = span_is(text, "0");
    if (is_zero && (kind == SETTINGS_DURATION || kind == SETTINGS_SECONDS)) {
        *out = 0;
        return true;
    }
    switch ((int)kind) {
    case SETTINGS_SIZE:
        return read_with_unit(text, size_units, out);
    case SETTINGS_DURATION:
        return read_with_unit(text, duration_units, out);
    case SETTINGS_SECONDS:
        return read_with_unit(text, second_units, out);
    case SETTINGS_PRICE:
        return read_price(text, out);
    default:
        return read_with_unit(text, no_units, out);
    }
}

static enum err read_number(const struct settings_row *row, struct span text, void *field)
{
    int64_t number;
    int64_t least;
    int64_t most;
    if (!settings_number_read(row->kind, text, &number)) {
        return ERR_CONFIG;
    }
    CHECK(settings_number_read(row->kind, span_of(row->least), &least));
    CHECK(settings_number_read(row->kind, span_of(row->most), &most));
    if (number < least || number > most) {
        return ERR_CONFIG;
    }
    memcpy(field, &number, sizeof(number));
    return ERR_OK;
}

static enum err read_moment(struct span text, void *field)
{
    int32_t day;
    wall_us at;
    if (admin_day_read(text, &day)) {
        at.us = day * DAY_US;
    } else if (!admin_time_read(text, &at)) {
        return ERR_CONFIG;
    }
    memcpy(field, &at, sizeof(at));
    return ERR_OK;
}

static enum err read_currency(struct span text, void *field)
{
    char *letters = field;
    bool is_one = text.len == CURRENCY_LETTERS;
    for (size_t i = 0; is_one && i < text.len; i++) {
        is_one = text.at[i] >= 'A' && text.at[i] <= 'Z';
    }
    if (!is_one) {
        return ERR_CONFIG;
    }
    span_copy_text(text, letters, CURRENCY_LETTERS + 1);
    return ERR_OK;
}

static enum err read_bool(struct span text, void *field)
{
    bool yes = span_is(text, "true");
    if (!yes && !span_is(text, "false")) {
        return ERR_CONFIG;
    }
    memcpy(field, &yes, sizeof(yes));
    return ERR_OK;
}

/* The place of `text` among the names of "a|b|c", or -1. */
static int choice_of(const char *choices, struct span text)
{
    struct span rest = span_of(choices);
    for (int i = 0; rest.len > 0; i++) {
        size_t bar = span_find(rest, '|', 0);
        if (span_equal(span_cut(rest, 0, bar), text)) {
            return i;
        }
        rest = span_cut(rest, bar + 1, rest.len);
    }
    return -1;
}

static enum err read_choice(const struct settings_row *row, struct span text, void *field)
{
    int choice = choice_of(row->least, text);
    if (choice < 0) {
        return ERR_CONFIG;
    }
    memcpy(field, &choice, sizeof(choice));
    return ERR_OK;
}

static enum err add_choice(const struct settings_row *row, struct span text, void *field)
{
    uint32_t bits;
    int choice = choice_of(row->least, text);
    if (choice < 0) {
        return ERR_CONFIG;
    }
    memcpy(&bits, field, sizeof(bits));
    bits |= 1u << choice;
    memcpy(field, &bits, sizeof(bits));
    return ERR_OK;
}

static bool is_visible_ascii(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] <= ' ' || text.at[i] >= 0x7F) {
            return false;
        }
    }
    return true;
}

static bool has_control(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < ' ' || text.at[i] == 0x7F) {
            return true;
        }
    }
    return false;
}

static bool is_url(struct span text)
{
    struct http_url url;
    const char *why;
    return http_url_parse(text, &url, &why) == ERR_OK;
}

static bool is_address(struct span text)
{
    struct net_address address;
    char copy[128];
    if (text.len >= sizeof(copy) || span_starts(text, SPAN("unix:"))) {
        return false;
    }
    span_copy_text(text, copy, sizeof(copy));
    return net_address_parse(copy, &address) == ERR_OK;
}

static bool is_text_of(enum settings_kind kind, struct span text)
{
    if (text.len > SETTINGS_TEXT_BYTES_MAX || has_control(text)) {
        return false;
    }
    switch ((int)kind) {
    case SETTINGS_LABEL:
        return text.len > 0 && text.len <= SETTINGS_LABEL_BYTES_MAX && is_visible_ascii(text);
    case SETTINGS_SECRET:
        return text.len > 0 && is_visible_ascii(text);
    case SETTINGS_ADDRESS:
        return is_address(text);
    case SETTINGS_URL:
        return is_url(text);
    case SETTINGS_DATA_PATH:
        return true; /* empty: none */
    default:
        return text.len > 0;
    }
}

/* TEXT to SECRET: a pointer to a copy; struct secret is nothing else. */
static enum err read_text(const struct settings_row *row, struct span text, struct arena *arena,
                          void *field)
{
    _Static_assert(sizeof(struct secret) == sizeof(const char *), "a secret is one pointer");
    if (!is_text_of(row->kind, text)) {
        return ERR_CONFIG;
    }
    while (row->kind == SETTINGS_URL && text.at[text.len - 1] == '/') {
        text.len--;
    }
    const char *copy = (const char *)arena_copy(arena, text).at;
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy(field, &copy, sizeof(copy));
    return ERR_OK;
}

/* Lists are short and read once: each item makes the array anew when its room is used up, at 1, 2,
 * 4, 8 … items. */
static enum err add_text(struct span text, struct arena *arena, void *field)
{
    struct texts texts;
    memcpy(&texts, field, sizeof(texts));
    if (!is_text_of(SETTINGS_TEXT, text) || texts.count == TEXTS_MAX) {
        return ERR_CONFIG;
    }
    if ((texts.count & (texts.count - 1)) == 0) {
        size_t room = texts.count == 0 ? 1 : 2 * texts.count;
        const char **larger = arena_new(arena, room * sizeof(*larger));
        if (larger == NULL) {
            return ERR_NO_MEMORY;
        }
        if (texts.count > 0) {
            memcpy(larger, texts.at, texts.count * sizeof(*larger));
        }
        texts.at = larger;
    }
    const char *copy = (const char *)arena_copy(arena, text).at;
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy((char *)(uintptr_t)texts.at + texts.count * sizeof(copy), &copy, sizeof(copy));
    texts.count++;
    memcpy(field, &texts, sizeof(texts));
    return ERR_OK;
}

bool settings_value_is_list(const struct settings_row *row)
{
    return row->kind == SETTINGS_TEXTS || row->kind == SETTINGS_CHOICES;
}

enum err settings_value_read(const struct settings_row *row, struct span text, struct arena *arena,
                             void *field)
{
    switch (row->kind) {
    case SETTINGS_TEXT:
    case SETTINGS_LABEL:
    case SETTINGS_PATH:
    case SETTINGS_DATA_PATH:
    case SETTINGS_ADDRESS:
    case SETTINGS_URL:
    case SETTINGS_SECRET:
        return read_text(row, text, arena, field);
    case SETTINGS_TEXTS:
        return add_text(text, arena, field);
    case SETTINGS_BOOL:
        return read_bool(text, field);
    case SETTINGS_CHOICE:
        return read_choice(row, text, field);
    case SETTINGS_CHOICES:
        return add_choice(row, text, field);
    case SETTINGS_COUNT:
    case SETTINGS_SIZE:
    case SETTINGS_DURATION:
    case SETTINGS_SECONDS:
    case SETTINGS_PRICE:
        return read_number(row, text, field);
    case SETTINGS_MOMENT:
        return read_moment(text, field);
    case SETTINGS_CURRENCY:
        return read_currency(text, field);
    case SETTINGS_PAIRS:
        break; /* is no text */
    }
    NEVER("a kind of setting without a reader");
}

/* "[a, b]" item by item. */
static enum err default_list(const struct settings_row *row, struct arena *arena, void *field)
{
    struct span rest = span_of(row->fallback);
    enum err e = ERR_OK;
    rest = span_cut(rest, 1, rest.len - 2);
    while (rest.len > 0 && e == ERR_OK) {
        size_t comma = span_find(rest, ',', 0);
        e = settings_value_read(row, span_trim(span_cut(rest, 0, comma)), arena, field);
        rest = span_cut(rest, comma + 1, rest.len);
    }
    return e;
}

enum err settings_value_default(const struct settings_row *row, struct arena *arena, void *field)
{
    enum err e = ERR_OK;
    if (row->fallback == NULL || row->fallback[0] == '\0') {
        return ERR_OK; /* the struct is zero */
    }
    if (settings_value_is_list(row)) {
        e = default_list(row, arena, field);
    } else {
        e = settings_value_read(row, span_of(row->fallback), arena, field);
    }
    CHECK(e != ERR_CONFIG);
    return e;
}

struct span settings_choice_name(const struct settings_row *row, unsigned i)
{
    struct span rest = span_of(row->least);
    for (; i > 0; i--) {
        rest = span_cut(rest, span_find(rest, '|', 0) + 1, rest.len);
    }
    return span_cut(rest, 0, span_find(rest, '|', 0));
}

static void put_choices(const struct settings_row *row, uint32_t bits, struct buf *out)
{
    const char *comma = "";
    buf_put_byte(out, '[');
    for (unsigned i = 0; bits >> i != 0; i++) {
        if ((bits >> i & 1) != 0) {
            buf_put_text(out, comma);
            buf_put(out, settings_choice_name(row, i));
            comma = ", ";
        }
    }
    buf_put_byte(out, ']');
}

static void put_texts(const struct texts *texts, struct buf *out)
{
    buf_put_byte(out, '[');
    for (size_t i = 0; i < texts->count; i++) {
        buf_printf(out, "%s%s", i == 0 ? "" : ", ", texts->at[i]);
    }
    buf_put_byte(out, ']');
}

void settings_value_put(const struct settings_row *row, const void *field, struct buf *out)
{
    int64_t number = 0;
    uint32_t bits = 0;
    const char *text = NULL;
    switch ((unsigned)row->kind) {
    case SETTINGS_TEXTS:
        put_texts(field, out);
        break;
    case SETTINGS_COUNT:
        memcpy(&number, field, sizeof(number));
        buf_printf(out, "%lld", (long long)number);
        break;
    case SETTINGS_BOOL:
        buf_put_text(out, *(const bool *)field ? "true" : "false");
        break;
    case SETTINGS_CHOICE:
        memcpy(&bits, field, sizeof(bits));
        buf_put(out, settings_choice_name(row, bits));
        break;
    case SETTINGS_CHOICES:
        memcpy(&bits, field, sizeof(bits));
        put_choices(row, bits, out);
        break;
    default:
        memcpy(&text, field, sizeof(text));
        buf_put_text(out, text == NULL ? "" : text);
    }
}
