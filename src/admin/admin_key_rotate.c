/* SPDX-License-Identifier: Apache-2.0 */
/* A key's other secret: told in one answer, as that of a new key is. */
#include "admin/admin_internal.h"
#include "base/arena.h"
#include "crypto/random.h"
#include "keys/keys_change.h"
#include "store/store_tables.h"

static enum err explain(const struct admin_operation *op, enum err e)
{
    return e == ERR_VALUE_INVALID
               ? admin_refuse(op, e,
                              "the key was revoked, has expired or is damaged: it cannot be "
                              "rotated; make another")
               : e;
}

static enum err rotate(const struct admin_operation *op, int64_t grace_s, struct arena *arena)
{
    const struct key_rotation rotation = {
        .now = op->now, .grace_s = grace_s, .actor = op->request->actor, .seed = op->seed};
    struct key_text text = {{0}};
    struct store_key key;
    enum err e = admin_key_find(op, arena, &key);
    if (e != ERR_OK) {
        return e;
    }
    e = keys_rotate(op->keys, op->store, op->id, &rotation, &key, &text);
    if (e == ERR_OK) {
        admin_note(op, op->route->action, op->id);
    }
    if (e == ERR_OK || e == ERR_EXISTS) { /* done of this seed before the gateway was killed */
        e = store_row_keep(STORE_TABLE_KEY, &key, arena);
        e = e == ERR_OK ? admin_key_answer(op, &key, span_of(text.text)) : e;
    } else {
        e = explain(op, e);
    }
    crypto_wipe(&text, sizeof(text));
    return e;
}

enum err admin_key_rotate(const struct admin_operation *op)
{
    struct arena arena;
    struct admin_rotation asked = {.grace_s = KEY_GRACE_S};
    struct admin_reading reading = admin_reading_of(op, ADMIN_OBJECT_rotation, ADMIN_MAKES, &arena);
    reading.body = reading.body.len == 0 ? SPAN("{}") : reading.body;
    arena_init(&arena, 2 * ADMIN_BODY_BYTES_MAX);
    enum err e = admin_object_read(&reading, &asked);
    if (e == ERR_OK) {
        e = rotate(op, asked.grace_s, &arena);
    }
    arena_fini(&arena);
    return e;
}
