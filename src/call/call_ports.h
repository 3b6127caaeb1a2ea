/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_ports.h — all that a call's steps can reach: time, the loop's next turn, where it may
 * go, client, model server, keys, limits, journal.
 *
 * Steps call nothing else that has an effect, so a unit test scripts whole calls with a table of
 * its own. The real table (call_ports_real()) points straight at the parts' functions; what each
 * must do is said in their headers: server/exchange.h, upstream/attempt.h, keys/keys.h,
 * access/access.h, limits/limits.h,
 * journal/journal_slots.h.
 *
 * Threads  as the functions.
 */
#ifndef CALL_CALL_PORTS_H
#define CALL_CALL_PORTS_H

#include "access/access.h"
#include "call/call_client.h"
#include "crypto/call_id.h"
#include "decision/decision.h"
#include "journal/journal_record.h"
#include "journal/journal_slots.h"
#include "keys/keys.h"
#include "net/net_loop.h"
#include "net/net_timer.h"
#include "policy/policy.h"
#include "upstream/attempt.h"

struct call_ports {
    /* The candidates for `name`, DECISION_CANDIDATES at most, the best first; 0: there is no such
     * model. `name` must outlive them. */
    size_t (*route)(const struct policy *policy, struct span name,
                    struct decision_candidate out[DECISION_CANDIDATES]);
    mono_us (*mono)(void);
    wall_us (*wall)(void);
    void (*call_id)(wall_us now, struct crypto_call_id *out);
    void (*defer)(struct net_loop *loop, struct net_task *task);
    void (*undefer)(struct net_task *task);
    int64_t (*share)(struct net_loop *loop); /* of a turn's time */

    struct { /* net_timer_init() has no effect but on the timer itself */
        enum err (*set)(struct net_timer *timer, mono_us due);
        void (*fini)(struct net_timer *timer);
    } timer;

    const struct call_client *client; /* what an exchange is to a call */

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
        int64_t (*served_us)(const struct attempt *a);
        void (*blame)(struct attempt *a, enum err e);
        const struct attempt_peer *(*peer)(const struct attempt *a);
        const char *(*problem)(const struct attempt *a);
        void (*close)(struct attempt **a);
        void (*finish)(struct attempt **a);
    } attempt;

    struct {
        enum err (*check)(const struct keys *k, struct span token, enum key_use use, wall_us now,
                          struct key_handle *out);
        enum err (*recheck)(const struct keys *k, struct key_handle *handle, wall_us now);
        void (*note)(const struct keys *k, const struct key_handle *handle,
                     const struct net_ip *from, wall_us now);
    } keys;

    struct {
        enum err (*look)(const struct access *a, const struct key_handle *key, wall_us now,
                         struct limits_subjects *out);
        bool (*permits)(const struct access *a, const struct key_handle *key,
                        const struct limits_subjects *who, struct span asked, struct span name);
        struct access_place (*place)(const struct access *a, const struct key_handle *key,
                                     const struct limits_subjects *who);
        struct guard_policy *(*guard)(const struct access *a, const struct limits_subjects *who);
        bool (*admits)(const struct access *a, const struct key_handle *key,
                       const struct net_ip *from);
        enum limits_outcome (*take)(const struct limits *l, const struct limits_subjects *who,
                                    struct limits_hold *hold, mono_us now,
                                    struct limits_refusal *why);
        enum limits_outcome (*reserve)(const struct limits *l, const struct limits_subjects *who,
                                       const struct limits_ask *ask, struct limits_hold *hold,
                                       const struct limits_times *now, struct limits_refusal *why);
        enum limits_outcome (*extend)(struct limits_hold *hold, int64_t tokens, int64_t nano,
                                      mono_us now, struct limits_refusal *why);
        void (*settle)(struct limits_hold *hold, int64_t tokens, int64_t nano, mono_us now);
    } access;

    struct {
        enum err (*take)(struct journal_lane *lane, struct journal_slot **out);
        struct journal_record *(*record)(struct journal_slot *slot);
        void (*arm)(const struct journal_lane *lane, struct journal_slot *slot);
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
