/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_ports.h — all that a call's steps can reach: time, the loop's next turn, client, model
 * server, keys, journal.
 *
 * Steps call nothing else that has an effect, so a unit test scripts whole calls with a table of
 * its own. The real table (call_ports_real()) points straight at the parts' functions; what each
 * must do is said in their headers: server/exchange.h, upstream/attempt.h, keys/keys.h,
 * journal/journal_slots.h.
 *
 * Threads  as the functions.
 */
#ifndef GATEWAY_CALL_PORTS_H
#define GATEWAY_CALL_PORTS_H

#include "crypto/call_id.h"
#include "journal/journal_record.h"
#include "journal/journal_slots.h"
#include "keys/keys.h"
#include "net/net_loop.h"
#include "server/exchange.h"
#include "upstream/attempt.h"

struct call_ports {
    mono_us (*mono)(void);
    wall_us (*wall)(void);
    void (*call_id)(wall_us now, struct crypto_call_id *out);
    void (*defer)(struct net_loop *loop, struct net_task *task);

    struct {
        void (*attach)(struct exchange *x, exchange_on_event *on_event, void *ctx);
        const struct http_request *(*head)(const struct exchange *x);
        uint64_t (*body_length)(const struct exchange *x);
        const char *(*peer)(struct exchange *x);
        void (*proceed)(struct exchange *x); /* exchange_continue() */
        enum exchange_pulled (*pull)(struct exchange *x, void *to, size_t size, size_t *got);
        enum err (*error)(const struct exchange *x);
        void (*put_head)(struct exchange *x, int status, struct span fields, uint64_t length);
        void (*put)(struct exchange *x, const struct iovec *pieces, int count);
        size_t (*waiting)(const struct exchange *x);
        bool (*is_gone)(const struct exchange *x);
        uint64_t (*sent)(const struct exchange *x);
        void (*finish)(struct exchange *x);
        void (*cancel)(struct exchange *x);
        void (*refuse)(struct exchange *x, enum err e, struct span message, struct span param,
                       struct span more_fields);
    } client;

    struct {
        enum err (*prepare)(struct upstream_pool *pool, struct deployment *deployment,
                            const struct attempt_request *request, attempt_on_event *on_event,
                            void *ctx, struct attempt **out);
        void (*start)(struct attempt *a);
        enum attempt_state (*state)(const struct attempt *a);
        enum err (*error)(const struct attempt *a);
        const struct http_response *(*head)(const struct attempt *a);
        enum attempt_pulled (*pull)(struct attempt *a, void *to, size_t size, size_t *got);
        bool (*has_sent)(const struct attempt *a);
        mono_us (*first_byte)(const struct attempt *a);
        const char *(*peer)(const struct attempt *a);
        void (*close)(struct attempt **a);
        void (*finish)(struct attempt **a);
    } attempt;

    struct {
        enum err (*check)(const struct keys *k, struct span token, enum key_use use, wall_us now,
                          struct key_handle *out);
        enum err (*recheck)(const struct keys *k, const struct key_handle *handle, wall_us now);
    } keys;

    struct {
        enum err (*take)(struct journal_lane *lane, struct journal_slot **out);
        struct journal_record *(*record)(struct journal_slot *slot);
        void (*arm)(struct journal_slot *slot, uint64_t intent);
        uint64_t (*publish)(struct journal_lane *lane, struct journal_slot *slot);
        void (*give_back)(struct journal_lane *lane, struct journal_slot *slot);
        bool (*await)(struct journal_lane *lane, uint64_t ticket);
        bool (*await_slots)(struct journal_lane *lane);
        enum err (*trouble)(const struct journal_lane *lane);
    } journal;
};

/* The table of the running program. */
const struct call_ports *call_ports_real(void);

#endif
