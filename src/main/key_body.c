/* SPDX-License-Identifier: Apache-2.0 */
#include "main/key_body.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admin/admin_operations.h"
#include "cli/cli_options.h"
#include "settings/settings_value.h"
#include "json/json_scan.h"
#include "json/json_write.h"

#define EXPIRES_MOST_MS (INT64_C(100) * 366 * 86400000) /* a hundred years */
#define LONG            (ADMIN_BODY_BYTES_MAX / 8)      /* each byte may be escaped, or a scope */

static void write_scopes(struct json_writer *w, struct span scopes)
{
    json_write_key(w, "scopes");
    json_write_array(w);
    for (size_t at = 0; at <= scopes.len;) {
        size_t comma = span_find(scopes, ',', at);
        json_write_string(w, span_cut(scopes, at, comma - at));
        at = comma + 1;
    }
    json_write_end(w);
}

/* `ms` is from now; 0: never. */
static void write_expires(struct json_writer *w, int64_t ms)
{
    char text[CLOCK_TEXT_BYTES];
    clock_text((wall_us){clock_wall().us + ms * 1000}, text);
    json_write_member_text(w, "expires_at", ms == 0 ? NULL : text);
}

static enum err write_members(const struct main_key_body *body, int64_t expires_ms, struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    if (body->name != NULL) {
        json_write_member_text(&w, "name", body->name);
    }
    if (body->kind != NULL) {
        json_write_member_text(&w, "kind", body->kind);
    }
    if (body->role != NULL) {
        json_write_member_text(&w, "role", body->role);
    }
    if (body->team != NULL) {
        json_write_member_text(&w, "team", body->team);
    }
    if (body->expires != NULL) {
        write_expires(&w, expires_ms);
    }
    if (body->scopes != NULL) {
        write_scopes(&w, span_of(body->scopes));
    }
    json_write_end(&w);
    return json_write_finish(&w);
}

static int misused(const struct main_key_body *body, const char *why)
{
    fprintf(stderr, "atlas key %s: %s\n", body->action, why);
    return CLI_MISUSED;
}

static size_t length(const char *text)
{
    return text == NULL ? 0 : strlen(text);
}

static bool is_utf8(const char *text)
{
    struct span all = span_of(text);
    return json_scan_utf8(all) == all.len;
}

int main_key_body_write(const struct main_key_body *body, struct buf *out)
{
    struct span name = span_of(body->name), expires = span_of(body->expires);
    int64_t ms = 0;
    if (json_scan_utf8(name) < name.len) {
        return misused(body, "--name is not UTF-8");
    }
    if (!is_utf8(body->role) || !is_utf8(body->team)) {
        return misused(body, "--role or --team is not UTF-8");
    }
    if (body->expires != NULL && !span_is(expires, "never") &&
        (!settings_number_read(SETTINGS_DURATION, expires, &ms) || ms < 1000 ||
         ms > EXPIRES_MOST_MS)) {
        return misused(body, "--expires takes a time from now, such as 12h or 30d, or never");
    }
    enum err e = write_members(body, ms, out);
    if (e != ERR_OK && length(body->name) + length(body->scopes) > LONG) {
        return misused(body, "the name or the scopes are too long");
    }
    if (e != ERR_OK) {
        fprintf(stderr, "atlas key %s: %s\n", body->action, err_sentence(e));
        return CLI_FAILED;
    }
    return CLI_GO_ON;
}

int main_key_print(const char *action, struct span line, const char *more)
{
    printf("%.*s\n", SPAN_ARGS(line));
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return CLI_DONE;
    }
    fprintf(stderr, "atlas key %s: the output cannot be written: %s%s\n", action,
            strerrordesc_np(errno), more);
    return CLI_FAILED;
}
