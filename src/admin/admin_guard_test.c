/* SPDX-License-Identifier: Apache-2.0 */
/* What the guard of a running gateway would do with a text, as calls of a team or of nobody's.
 * Nothing of the text is kept. */
#include "admin/admin_internal.h"
#include "guard/guard_report.h"
#include "policy/policy.h"

#define ARENA_BYTES (16u << 20)

/* What the request says; rows of its index, JSON_NONE where it does not. */
struct wish {
    struct json_index x;
    struct arena arena;
    uint32_t text, messages;
    struct span team, direction;
};

static enum err refuse(const struct admin_operation *op, const char *param, const char *what)
{
    return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, span_of(param), "%s", what);
}

static enum err read_text(const struct admin_operation *op, struct wish *in, uint32_t key,
                          const char *name, struct span *out)
{
    uint32_t row = json_value(&in->x, key);
    enum err e = json_kind(&in->x, row) == JSON_STRING ? json_text(&in->x, row, &in->arena, out)
                                                       : ERR_VALUE_INVALID;
    return e == ERR_VALUE_INVALID
               ? admin_fault_say(&op->answer->fault, e, span_of(name), "'%s' must be a text", name)
               : e;
}

static enum err read_member(const struct admin_operation *op, struct wish *in, uint32_t key)
{
    if (json_text_is(&in->x, key, SPAN("text"))) {
        in->text = json_value(&in->x, key);
        return ERR_OK;
    }
    if (json_text_is(&in->x, key, SPAN("messages"))) {
        in->messages = json_value(&in->x, key);
        return ERR_OK;
    }
    if (json_text_is(&in->x, key, SPAN("team"))) {
        return read_text(op, in, key, "team", &in->team);
    }
    if (json_text_is(&in->x, key, SPAN("direction"))) {
        return read_text(op, in, key, "direction", &in->direction);
    }
    struct span name = span_cut_text(json_inside(&in->x, key), 64);
    return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, name,
                           "'%.*s' is no member of this request, which may hold text or messages, "
                           "team and direction",
                           SPAN_ARGS(name));
}

static enum err check(const struct admin_operation *op, const struct wish *in)
{
    bool is_text = in->text != JSON_NONE && json_kind(&in->x, in->text) == JSON_STRING;
    bool is_list = in->messages != JSON_NONE && json_kind(&in->x, in->messages) == JSON_ARRAY;
    if ((in->text == JSON_NONE) == (in->messages == JSON_NONE)) {
        return refuse(op, "text", "either 'text' or 'messages' must be given");
    }
    if (!is_text && !is_list) {
        return in->text != JSON_NONE ? refuse(op, "text", "'text' must be a text")
                                     : refuse(op, "messages", "'messages' must be a list");
    }
    bool is_known = in->direction.len == 0 || span_is(in->direction, "prompt") ||
                    span_is(in->direction, "reply");
    return is_known ? ERR_OK : refuse(op, "direction", "'direction' must be prompt or reply");
}

static enum err read_wish(const struct admin_operation *op, struct wish *in)
{
    uint32_t twice = JSON_NONE;
    enum err e = json_index_parse_borrow(&in->x, op->request->body);
    if (e == ERR_OK && json_kind(&in->x, 0) != JSON_OBJECT) {
        return ERR_BODY_NOT_OBJECT;
    }
    e = e == ERR_OK ? json_first_duplicate(&in->x, 0, &twice) : e;
    if (e == ERR_OK && twice != JSON_NONE) {
        return admin_fault_say(&op->answer->fault, ERR_JSON_DUPLICATE, json_inside(&in->x, twice),
                               "a member is given twice");
    }
    for (uint32_t key = e == ERR_OK ? json_first(&in->x, 0) : JSON_NONE;
         e == ERR_OK && key != JSON_NONE; key = json_next(&in->x, key)) {
        e = read_member(op, in, key);
    }
    return e == ERR_OK ? check(op, in) : e;
}

/* The team's guard, which stays as it is on this thread. */
static enum err find_team(const struct admin_operation *op, struct span given,
                          const struct guard_policy **out)
{
    const struct directory *d = access_directory(op->rights);
    struct span id = {NULL, 0};
    enum err e = admin_resolve(op, DIRECTORY_TEAM, given, "team", SLOTS_NONE, &id);
    if (e == ERR_OK && id.len > 0) {
        uint32_t slot = directory_slot(d, DIRECTORY_TEAM, id);
        const struct directory_entry *team =
            slot == SLOTS_NONE ? NULL : directory_find(d, DIRECTORY_TEAM, slot);
        *out = team == NULL ? NULL : team->guard;
    }
    return e;
}

static enum err look_at_text(struct guard_report *report, struct wish *in, struct buf *out)
{
    uint8_t *said = arena_alloc(&in->arena, json_inside(&in->x, in->text).len + 1);
    if (said == NULL) {
        return ERR_NO_MEMORY;
    }
    struct span text = span_make(said, json_unescape(&in->x, in->text, said, NULL));
    return guard_report_text(report, text, out);
}

/* As a call that has these messages and nothing else. */
static enum err look_at_messages(struct guard_report *report, const struct wish *in,
                                 struct buf *out)
{
    struct buf call;
    struct json_writer w;
    buf_init(&call, ARENA_BYTES);
    json_write_init(&w, &call);
    json_write_object(&w);
    json_write_key(&w, "messages");
    json_write_raw(&w, json_source(&in->x, in->messages));
    json_write_end(&w);
    enum err e = json_write_finish(&w);
    e = e == ERR_OK ? guard_report_request(report, buf_span(&call), out) : e;
    buf_fini(&call);
    return e;
}

static enum err look(const struct admin_operation *op, struct wish *in,
                     const struct guard_rule_of *of)
{
    struct guard_report report;
    bool is_reply = span_is(in->direction, "reply");
    enum err e = guard_report_open(of, is_reply ? GUARD_REPLY : GUARD_PROMPT, &report);
    if (e == ERR_OK && in->text != JSON_NONE) {
        e = look_at_text(&report, in, op->out);
    } else if (e == ERR_OK) {
        e = look_at_messages(&report, in, op->out);
    }
    guard_report_close(&report);
    return e;
}

enum err admin_guard_test(const struct admin_operation *op)
{
    struct wish in = {.text = JSON_NONE, .messages = JSON_NONE};
    struct guard_rule_of of = {NULL, NULL};
    if (op->policy == NULL) {
        return admin_refuse(op, ERR_DRAINING, "only a running gateway can say it");
    }
    json_index_init(&in.x, GUARD_REPORT_ROWS, GUARD_REPORT_DEPTH);
    arena_init(&in.arena, ARENA_BYTES);
    of.gateway = op->policy->guard;
    enum err e = read_wish(op, &in);
    e = e == ERR_OK ? find_team(op, in.team, &of.team) : e;
    e = e == ERR_OK ? look(op, &in, &of) : e;
    arena_fini(&in.arena);
    json_index_fini(&in.x);
    return e;
}
