/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_body.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin_operations.h"
#include "base/file.h"
#include "settings/settings_value.h"
#include "text/text_near.h"
#include "json/json_scan.h"
#include "json/json_write.h"

#define ROOM_BYTES      (16u << 20) /* more than any command line makes, each byte escaped */
#define EXPIRES_MOST_MS (INT64_C(100) * 366 * 86400000) /* a hundred years */
#define WORDS_MAX       16
#define WHY_BYTES       128
#define WORD_BYTES      32
#define DAY_S           86400
#define PIECE_BYTES     65536
#define JSON_ROWS_MAX   65536
#define JSON_DEPTH_MAX  16

/* A body while it is written. */
struct writing {
    struct cli_body *body;
    struct json_writer w;
    const char *part; /* "limits.burst": one of the part that is open; "": none is */
};

/* "--burst"; "ID" of a plain word. */
static const char *name_of(const struct cli_option *o, char out[CLI_NAME_BYTES])
{
    (void)cli_option_text(o, out);
    out[o->name == NULL ? strlen(out) : strcspn(out, " ")] = '\0';
    return out;
}

static int misused(const struct writing *w, const struct cli_option *o, const char *why)
{
    char name[CLI_NAME_BYTES];
    fprintf(stderr, "atlas %s: %s %s\n", w->body->command, name_of(o, name), why);
    return CLI_MISUSED;
}

/* ---- the table of objects ---- */

static const struct admin_field *field_named(enum admin_object object, struct span name)
{
    size_t count;
    const struct admin_field *f = admin_fields(object, &count);
    for (size_t i = 0; i < count; i++) {
        if (span_is(name, f[i].name)) {
            return &f[i];
        }
    }
    NEVER("an option for a member that is not in the table");
}

/* The member that is written: of the object, or behind a dot of its part. */
static const struct admin_field *field_of(const struct writing *w, const char *member)
{
    struct span name = span_of(member);
    size_t dot = span_find(name, '.', 0);
    const struct admin_field *f = field_named(w->body->object, span_cut(name, 0, dot));
    return dot == name.len ? f : field_named(admin_part_of(f), span_cut(name, dot + 1, name.len));
}

static size_t part_length(const char *member)
{
    return strchr(member, '.') == NULL ? 0 : strcspn(member, ".");
}

/* Opens the part that the member is of, closes the one before. */
static void turn_to_part(struct writing *w, const char *member)
{
    size_t before = part_length(w->part), now = part_length(member);
    if (before == now && strncmp(w->part, member, now) == 0) {
        return;
    }
    if (before > 0) {
        json_write_end(&w->w);
    }
    if (now > 0) {
        json_write_key_span(&w->w, span_make(member, now));
        json_write_object(&w->w);
    }
    w->part = now > 0 ? member : "";
}

/* ---- values ---- */

/* Whether the word stands for nothing. */
static bool is_none(const struct cli_option *o, const char *text)
{
    return o->none != NULL && strcmp(text, o->none) == 0;
}

/* One that is near another is a mistake; whoever writes any other has to see what there is. */
static int refuse_word(const char *option, const char *text, const char *const *words, size_t count)
{
    if (text_nearest(span_of(text), words, count) != NULL) {
        return cli_unknown(option, text, words, count);
    }
    fprintf(stderr, "atlas: %s is one of", option);
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "%s %s", i == 0 ? "" : ",", words[i]);
    }
    fprintf(stderr, "; not '%s'\n", text);
    return CLI_MISUSED;
}

static int put_choice(struct writing *w, const struct cli_option *o, const struct admin_field *f,
                      const char *text)
{
    char room[WORDS_MAX][WORD_BYTES], what[CLI_NAME_BYTES];
    const char *words[WORDS_MAX];
    size_t count = 0;
    for (struct span word; (word = admin_word(f->words, count)).at != NULL; count++) {
        CHECK(count < WORDS_MAX);
        span_copy_text(word, room[count], WORD_BYTES);
        words[count] = room[count];
        if (span_is(word, text)) {
            json_write_text(&w->w, text);
            return CLI_GO_ON;
        }
    }
    return refuse_word(name_of(o, what), text, words, count);
}

static int put_number(struct writing *w, const struct cli_option *o, const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18 || text[digits] != '\0' || (digits > 1 && text[0] == '0')) {
        return misused(w, o,
                       o->none == NULL ? "takes a whole number" : "takes a whole number, or none");
    }
    json_write_raw(&w->w, span_make(text, digits));
    return CLI_GO_ON;
}

/* A time from now, a day as it begins (UTC), or RFC 3339. */
static int put_time(struct writing *w, const struct cli_option *o, const char *text)
{
    int64_t ms = 0;
    int32_t day;
    wall_us at;
    char made[CLOCK_TEXT_BYTES];
    struct span all = span_of(text);
    if (admin_time_read(all, &at)) {
        json_write_text(&w->w, text);
        return CLI_GO_ON;
    }
    if (admin_day_read(all, &day)) {
        json_write_int(&w->w, (int64_t)day * DAY_S);
        return CLI_GO_ON;
    }
    if (!settings_number_read(SETTINGS_DURATION, all, &ms) || ms < 1000 || ms > EXPIRES_MOST_MS) {
        return misused(
            w, o,
            o->none == NULL
                ? "takes a time from now, such as 12h or 30d, or a day, such as 2027-01-31"
                : "takes a time from now, such as 12h or 30d, a day, such as "
                  "2027-01-31, or never");
    }
    clock_text((wall_us){clock_wall().us + ms * 1000}, made);
    json_write_text(&w->w, made);
    return CLI_GO_ON;
}

/* A time as whole seconds. */
static int put_seconds(struct writing *w, const struct cli_option *o, const struct admin_field *f,
                       const char *text)
{
    int64_t ms = 0;
    char why[WHY_BYTES];
    bool is_time =
        strcmp(text, "0") == 0 || settings_number_read(SETTINGS_DURATION, span_of(text), &ms);
    if (!is_time || ms % 1000 != 0 || ms / 1000 < f->least || ms / 1000 > f->most) {
        (void)snprintf(why, sizeof(why),
                       "takes a time such as 30s, 24h or 90d, from %llds to %llds",
                       (long long)f->least, (long long)f->most); /* it fits */
        return misused(w, o, why);
    }
    json_write_int(&w->w, ms / 1000);
    return CLI_GO_ON;
}

/* Whether a number is seconds: its name says so. */
static bool is_seconds(const struct admin_field *f)
{
    return span_ends(span_of(f->name), SPAN("_s"));
}

/* Names, some of them with commas between. */
static int put_names(struct writing *w, const struct cli_option *o)
{
    const struct cli_texts *texts = cli_given_texts(o, w->body->given);
    json_write_array(&w->w);
    for (size_t i = 0; i < texts->count; i++) {
        struct span all = span_of(texts->at[i]);
        if (is_none(o, texts->at[i]) && texts->count > 1) {
            return misused(w, o, "takes names, or the one word for all of them, not both");
        }
        for (size_t at = 0; at <= all.len && !is_none(o, texts->at[i]);) {
            size_t comma = span_find(all, ',', at);
            struct span name = span_cut(all, at, comma - at);
            if (name.len == 0) {
                return misused(w, o, "takes names with a comma between, and one is empty");
            }
            json_write_string(&w->w, name);
            at = comma + 1;
        }
    }
    json_write_end(&w->w);
    return CLI_GO_ON;
}

static int put_tags(struct writing *w, const struct cli_option *o)
{
    const struct cli_texts *texts = cli_given_texts(o, w->body->given);
    if (texts->count == 1 && is_none(o, texts->at[0])) {
        json_write_null(&w->w); /* all of them away */
        return CLI_GO_ON;
    }
    json_write_object(&w->w);
    for (size_t i = 0; i < texts->count; i++) {
        struct span all = span_of(texts->at[i]);
        size_t equals = span_find(all, '=', 0);
        if (equals == all.len || equals == 0) {
            return misused(w, o, "takes a tag's name and value: env=prod");
        }
        json_write_key_span(&w->w, span_cut(all, 0, equals));
        json_write_string(&w->w, span_cut(all, equals + 1, all.len));
    }
    json_write_end(&w->w);
    return CLI_GO_ON;
}

static int put_bool(struct writing *w, const char *text)
{
    json_write_bool(&w->w, strcmp(text, "true") == 0);
    return CLI_GO_ON;
}

/* As it is: what it may be, the API says. */
static int put_text(struct writing *w, const char *text)
{
    json_write_text(&w->w, text);
    return CLI_GO_ON;
}

/* Reads a file of JSON; a whole one, or none of it. */
static bool read_file(const char *path, struct buf *out, const char **why)
{
    int fd = -1;
    ssize_t got = file_open(path, &fd, why) == ERR_OK ? 1 : -1;
    bool is_open = got > 0;
    while (got > 0 && buf_span(out).len <= ADMIN_BODY_BYTES_MAX) {
        uint8_t *at = buf_reserve(out, PIECE_BYTES);
        got = at == NULL ? -1 : read(fd, at, PIECE_BYTES);
        buf_added(out, got > 0 ? (size_t)got : 0);
    }
    if (is_open) {
        *why = strerrordesc_np(errno);
        (void)close(fd); /* only read from */
    }
    return got >= 0;
}

/* An object of JSON, or the name of a file that holds one. */
static int put_json(struct writing *w, const struct cli_option *o, const char *text)
{
    struct json_index x;
    struct buf file;
    const char *why = "";
    char said[WHY_BYTES];
    int status = CLI_GO_ON;
    struct span all = span_trim(span_of(text));
    buf_init(&file, ADMIN_BODY_BYTES_MAX + 2 * PIECE_BYTES);
    json_index_init(&x, JSON_ROWS_MAX, JSON_DEPTH_MAX);
    if (all.len > 0 && all.at[0] != '{' && !read_file(text, &file, &why)) {
        (void)snprintf(said, sizeof(said), "takes an object of JSON, or a file of it: %s", why);
        status = misused(w, o, said);
    }
    all = all.len > 0 && all.at[0] == '{' ? all : span_trim(buf_span(&file));
    if (status == CLI_GO_ON &&
        (json_index_parse_borrow(&x, all) != ERR_OK || json_kind(&x, 0) != JSON_OBJECT)) {
        status = misused(w, o, "takes an object of JSON, or a file of it: this is none");
    } else if (status == CLI_GO_ON) {
        json_write_raw(&w->w, json_source(&x, 0));
    }
    json_index_fini(&x);
    buf_fini(&file);
    return status;
}

static int put_nothing(struct writing *w)
{
    json_write_null(&w->w);
    return CLI_GO_ON;
}

/* What the one text of an option says. */
static int put_one(struct writing *w, const struct cli_option *o, const struct admin_field *f)
{
    const char *text = o->value == NULL ? o->says : cli_given_text(o, w->body->given);
    if (is_none(o, text)) {
        return put_nothing(w);
    }
    switch ((unsigned)f->kind) {
    case ADMIN_CHOICE:
        return put_choice(w, o, f, text);
    case ADMIN_INT:
        return is_seconds(f) ? put_seconds(w, o, f, text) : put_number(w, o, text);
    case ADMIN_MOMENT:
        return put_time(w, o, text);
    case ADMIN_BOOL:
        return put_bool(w, text);
    case ADMIN_JSON:
        return put_json(w, o, text);
    default:
        return put_text(w, text);
    }
}

static int put_value(struct writing *w, const struct cli_option *o, const struct admin_field *f)
{
    return !o->is_list             ? put_one(w, o, f)
           : f->kind == ADMIN_TAGS ? put_tags(w, o)
                                   : put_names(w, o);
}

/* ---- members ---- */

/* The option before `o` that was given and makes the same member; NULL: none. */
static const struct cli_option *twin_of(const struct cli_body *body, const struct cli_option *o)
{
    for (const struct cli_option *twin = body->options; twin < o; twin++) {
        if (twin->member != NULL && strcmp(twin->member, o->member) == 0 &&
            cli_was_given(twin, body->given)) {
            return twin;
        }
    }
    return NULL;
}

static int refuse_twins(const struct writing *w, const struct cli_option *one,
                        const struct cli_option *other)
{
    char first[CLI_NAME_BYTES], second[CLI_NAME_BYTES];
    fprintf(stderr, "atlas %s: %s and %s do not go together\n", w->body->command,
            name_of(one, first), name_of(other, second));
    return CLI_MISUSED;
}

static bool is_utf8(const struct cli_option *o, const void *given)
{
    const struct cli_texts one = {.count = 1,
                                  .at = {o->value == NULL ? "" : cli_given_text(o, given)}};
    const struct cli_texts *texts = o->is_list ? cli_given_texts(o, given) : &one;
    for (size_t i = 0; i < texts->count; i++) {
        struct span text = span_of(texts->at[i]);
        if (json_scan_utf8(text) < text.len) {
            return false;
        }
    }
    return true;
}

static int put_member(struct writing *w, const struct cli_option *o)
{
    const struct cli_option *twin = twin_of(w->body, o);
    if (twin != NULL) {
        return refuse_twins(w, twin, o);
    }
    if (!is_utf8(o, w->body->given)) {
        return misused(w, o, "is not UTF-8");
    }
    const struct admin_field *f = field_of(w, o->member);
    turn_to_part(w, o->member);
    json_write_key(&w->w, f->name);
    w->body->members++;
    return put_value(w, o, f);
}

int cli_body_write(struct cli_body *body, struct buf *out)
{
    struct writing w = {.body = body, .part = ""};
    int status = CLI_GO_ON;
    body->members = 0;
    buf_init(out, ROOM_BYTES);
    json_write_init(&w.w, out);
    json_write_object(&w.w);
    for (const struct cli_option *o = body->options; status == CLI_GO_ON && o->help != NULL; o++) {
        bool is_left_out = o->member == NULL ||
                           (body->leave_out != NULL && strcmp(o->member, body->leave_out) == 0);
        if (!is_left_out && cli_was_given(o, body->given)) {
            status = put_member(&w, o);
        }
    }
    if (status != CLI_GO_ON) {
        return status; /* half of it is of no use */
    }
    turn_to_part(&w, "");
    json_write_end(&w.w);
    enum err e = json_write_finish(&w.w);
    if (e != ERR_OK) {
        fprintf(stderr, "atlas %s: %s\n", body->command, err_sentence(e));
        return CLI_FAILED;
    }
    if (buf_span(out).len > ADMIN_BODY_BYTES_MAX) {
        fprintf(stderr, "atlas %s: what is given is longer than a request may be\n", body->command);
        return CLI_MISUSED;
    }
    return CLI_GO_ON;
}
