/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_signal.h"

#include "base/memory.h"
#include "net/net_internal.h"

struct net_signal {
    uv_signal_t watch;
    net_on_signal *on_signal;
    void *ctx;
};

static void on_watch(uv_signal_t *watch, int number)
{
    struct net_signal *s = watch->data;
    s->on_signal(s->ctx, number);
}

static void on_closed(uv_handle_t *handle)
{
    memory_free(handle->data);
}

enum err net_signal_open(struct net_loop *loop, int number, net_on_signal *on_signal, void *ctx,
                         struct net_signal **out)
{
    struct net_signal *s = memory_new(sizeof(*s));
    if (s == NULL) {
        return ERR_NO_MEMORY;
    }
    if (uv_signal_init(&loop->uv, &s->watch) != 0) {
        memory_free(s);
        return ERR_NET;
    }
    s->on_signal = on_signal;
    s->ctx = ctx;
    s->watch.data = s;
    *out = s;
    if (uv_signal_start(&s->watch, on_watch, number) != 0) {
        net_signal_close(out);
        return ERR_NET;
    }
    return ERR_OK;
}

void net_signal_close(struct net_signal **s)
{
    if (*s != NULL) {
        uv_close((uv_handle_t *)&(*s)->watch, on_closed);
        *s = NULL;
    }
}
