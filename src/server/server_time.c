/* SPDX-License-Identifier: Apache-2.0 */
/* How long a client may take for each step. */
#include "server/server_internal.h"

#define SKIP_MS   1000
#define LINGER_MS 5000
#define PROXY_MS  3000 /* a proxy sends its header with the connection */
#define HURRY_MS  1000 /* what a client has for each step when the server drains */

bool server_time_body_is_late(const struct server_connection *c, mono_us now)
{
    return c->exchange.wants_body &&
           clock_since(c->body.waits_since, now) >= c->server->settings.body_timeout_ms * 1000;
}

bool server_time_output_is_stuck(const struct server_connection *c, mono_us now)
{
    return server_output_waiting(c) > 0 &&
           clock_since(c->write_since, now) >= c->server->settings.write_timeout_ms * 1000;
}

/* How long a state may last, from its beginning; 0 where that depends on more. */
static int64_t usual_timeout_ms(const struct server_connection *c)
{
    const struct server_settings *set = &c->server->settings;
    switch (c->state) {
    case CONNECTION_PROXY:
        return PROXY_MS;
    case CONNECTION_HANDSHAKE:
        return set->handshake_timeout_ms;
    case CONNECTION_IDLE:
        return c->served ? set->idle_timeout_ms : set->head_timeout_ms;
    case CONNECTION_HEAD:
        return set->head_timeout_ms;
    case CONNECTION_SKIP:
        return SKIP_MS;
    case CONNECTION_LINGER:
        return LINGER_MS;
    case CONNECTION_ANSWER:
    case CONNECTION_SEND:
    case CONNECTION_CLOSED:
    case CONNECTION_STATE_COUNT:
    default:
        return 0;
    }
}

static int64_t timeout_ms(const struct server_connection *c)
{
    int64_t usual = usual_timeout_ms(c);
    return c->hurried && usual > HURRY_MS ? HURRY_MS : usual;
}

/* When the client has to have done something, in a state where that depends on what is waited for.
 */
static mono_us deadline(const struct server_connection *c)
{
    const struct server_settings *set = &c->server->settings;
    mono_us due = NET_NEVER;
    if (c->exchange.wants_body) {
        due = clock_after_ms(c->body.waits_since, set->body_timeout_ms);
    }
    if (server_output_waiting(c) > 0) {
        mono_us stuck = clock_after_ms(c->write_since, set->write_timeout_ms);
        due = stuck.us < due.us ? stuck : due;
    }
    return due;
}

void server_time_set(struct server_connection *c)
{
    int64_t ms = timeout_ms(c);
    enum err e = ERR_OK;
    if (ms == 0) {
        mono_us due = deadline(c);
        if (due.us == NET_NEVER.us) {
            net_timer_stop(&c->timer);
        } else if (due.us != c->timer.due.us) {
            e = net_timer_set(&c->timer, due);
        }
    } else if (c->entered) {
        e = net_timer_set_ms(&c->timer, ms);
    }
    c->entered = false;
    if (e != ERR_OK) { /* a wait without an end is worse than a connection less */
        c->broken = true;
        net_loop_defer(c->server->loop, &c->task);
    }
}
