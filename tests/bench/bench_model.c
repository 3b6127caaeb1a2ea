/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_model.c — the model server of `make bench`: cheaper than any gateway in front of it.
 *
 *     bench_model PORT
 *
 * A request is answered with the same 0.6 kB of JSON; one with "stream":true in its first bytes
 * with events, "bench_gap_us" apart, until the client closes. Streams do not begin in step: each
 * has its place within the gap. Due streams stand in a wheel of SLOT_US slots.
 */
#include "bench_net.h"

#include "base/list.h"
#include "base/span.h"

#define HEAD_BYTES 2048 /* of a request that are looked at: its head and the body's start */
#define SLOT_US    100
#define SLOTS      32768 /* a gap is at most as long as the wheel */
#define LATEST     INT64_MAX

struct peer {
    int fd;
    bool streaming;
    uint32_t have;      /* bytes of this request in `head` */
    uint64_t got, want; /* of this request; `want` 0 while its head is not whole */
    int64_t gap_us, due;
    struct list link; /* in its slot */
    char head[HEAD_BYTES];
};

static const char reply[] =
    "HTTP/1.1 200 OK\r\nServer: model\r\nContent-Type: application/json\r\n"
    "Content-Length: 612\r\n\r\n"
    "{\"id\":\"chatcmpl-6f1c0a2b9d7e4c5f8a3b1c2d3e4f5a6b\",\"object\":\"chat.completion\","
    "\"created\":1764000000,\"model\":\"bench-model\",\"choices\":[{\"index\":0,\"message\":"
    "{\"role\":\"assistant\",\"content\":\"The minister received the delegation in the capital and "
    "discussed the water desalination programme, its costs and the dates by which the first plants "
    "are to deliver. Both sides agreed to meet again within the month.\",\"tool_calls\":[]},"
    "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":412,"
    "\"total_tokens\":455,\"completion_tokens\":43},\"system_fingerprint\":\"fp_44709d6fcb\"";

static const char stream_head[] =
    "HTTP/1.1 200 OK\r\nServer: model\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";

#define EVENT_HEAD                                                                            \
    "data: {\"id\":\"chatcmpl-6f1c0a2b9d7e4c5f8a3b1c2d3e4f5a6b\",\"object\":"                 \
    "\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"bench-model\",\"choices\":" \
    "[{\"index\":0,\"delta\":{\"content\":\"" STAMP_MARK
#define EVENT_TAIL "\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"

static struct list wheel[SLOTS];
static int64_t wheel_at; /* the slot that is done next, counted from time 0 */
static uint64_t streams, begun;
static int poll_fd;
static char whole_reply[2048], event[512], scratch[READ_BYTES];
static size_t whole_reply_len, event_len, stamp_at;

/* The reply is padded to the length that it announces. */
static void write_templates(void)
{
    size_t head = (size_t)(strstr(reply, "\r\n\r\n") + 4 - reply);
    size_t body = sizeof(reply) - 1 - head;
    must(body + 1 <= 612, "reply");
    memcpy(whole_reply, reply, sizeof(reply) - 1);
    memset(whole_reply + head + body, ' ', 611 - body);
    whole_reply[head + 611] = '}';
    whole_reply_len = head + 612;

    size_t len = sizeof(EVENT_HEAD) - 1 + STAMP_DIGITS + sizeof(EVENT_TAIL) - 1;
    int line = snprintf(event, sizeof(event), "%zx\r\n", len);
    stamp_at = (size_t)line + sizeof(EVENT_HEAD) - 1;
    int all = snprintf(event + line, sizeof(event) - (size_t)line, "%s%016d%s\r\n", EVENT_HEAD, 0,
                       EVENT_TAIL);
    event_len = (size_t)line + (size_t)all;
}

static void place(struct peer *p)
{
    int64_t slot = p->due / SLOT_US;
    slot = slot < wheel_at ? wheel_at : slot;
    list_push_back(&wheel[slot % SLOTS], &p->link);
}

static void hang_up(struct peer *p)
{
    list_remove(&p->link);
    streams -= p->streaming ? 1 : 0;
    (void)close(p->fd); /* the peer is gone already */
    free(p);
}

/* A client that does not take it all is cut off: in a bench that is a failure, and shows as one. */
static bool send_all(struct peer *p, const char *bytes, size_t len)
{
    return send(p->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static void stamp(char *at)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%016lld", (long long)clock_mono().us); /* has room */
    memcpy(at, text, STAMP_DIGITS);
}

/* The head and the first event go at once, as a model server's do. */
static bool send_start(struct peer *p)
{
    char start[1024];
    size_t head = sizeof(stream_head) - 1;
    memcpy(start, stream_head, head);
    memcpy(start + head, event, event_len);
    stamp(start + head + stamp_at);
    return send_all(p, start, head + event_len);
}

static bool begin_stream(struct peer *p, struct span body)
{
    static const struct span name = {(const uint8_t *)"\"bench_gap_us\":", 15};
    const char *gap = memmem(body.at, body.len, name.at, name.len);
    p->gap_us = gap == NULL ? 10000 : strtol(gap + name.len, NULL, 10);
    must(p->gap_us > 0 && p->gap_us < (int64_t)SLOTS * SLOT_US, "bench_gap_us");
    p->streaming = true;
    if (streams++ == 0) {
        wheel_at = clock_mono().us / SLOT_US;
    }
    /* Steps of the golden ratio fill the gap evenly, however many streams there will be. */
    uint64_t phase = (begun++ * UINT64_C(0x9e3779b97f4a7c15)) >> 40;
    p->due = clock_mono().us + (int64_t)(phase * (uint64_t)p->gap_us >> 24);
    place(p);
    return send_start(p);
}

static bool answer(struct peer *p)
{
    struct span all = span_make(p->head, p->have);
    const char *body = memmem(all.at, all.len, "\r\n\r\n", 4);
    struct span start = span_cut(all, (size_t)(body - p->head), all.len);
    p->have = 0;
    p->got = p->want = 0;
    if (memmem(start.at, start.len, "\"stream\":true", 13) != NULL) {
        return begin_stream(p, start);
    }
    return send_all(p, whole_reply, whole_reply_len);
}

/* Once the head is whole: how long the request is. */
static void read_head(struct peer *p)
{
    const char *end = memmem(p->head, p->have, "\r\n\r\n", 4);
    if (end == NULL) {
        must(p->have < HEAD_BYTES, "a request head is too long");
        return;
    }
    size_t len = (size_t)(end - p->head) + 4;
    for (size_t i = 0; i + 16 < len; i++) {
        if (p->head[i] == '\n' && strncasecmp(p->head + i + 1, "content-length:", 15) == 0) {
            p->want = len + strtoul(p->head + i + 16, NULL, 10);
            return;
        }
    }
    p->want = len;
}

static bool on_bytes(struct peer *p, size_t len)
{
    size_t room = HEAD_BYTES - p->have;
    size_t more = len < room ? len : room;
    memcpy(p->head + p->have, scratch, more);
    p->have += (uint32_t)more;
    p->got += len;
    if (p->want == 0) {
        read_head(p);
    }
    return p->want == 0 || p->got < p->want || answer(p);
}

static void on_ready(struct peer *p)
{
    ssize_t len = recv(p->fd, scratch, sizeof(scratch), 0);
    if (len < 0 && errno == EAGAIN) {
        return;
    }
    if (len <= 0 || p->streaming || !on_bytes(p, (size_t)len)) {
        hang_up(p);
    }
}

static void on_accept(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *p = calloc(1, sizeof(*p));
        must(p != NULL, "memory");
        p->fd = fd;
        list_init(&p->link);
        no_delay(fd);
        watch(poll_fd, fd, EPOLLIN, p);
    }
}

static void send_event(struct peer *p)
{
    stamp(event + stamp_at);
    p->due += p->gap_us;
    if (send_all(p, event, event_len)) {
        place(p);
    } else {
        hang_up(p);
    }
}

/* Sends what is due; returns when the next is. */
static int64_t turn_wheel(void)
{
    if (streams == 0) {
        return clock_mono().us + 1000000;
    }
    int64_t now = clock_mono().us;
    for (; wheel_at <= now / SLOT_US; wheel_at++) {
        struct list due;
        list_init(&due);
        struct list *link;
        while ((link = list_pop_front(&wheel[wheel_at % SLOTS])) != NULL) {
            list_push_back(&due, link);
        }
        while ((link = list_pop_front(&due)) != NULL) {
            send_event(LIST_OF(link, struct peer, link));
        }
    }
    int64_t next = wheel_at;
    while (next < wheel_at + SLOTS && list_is_empty(&wheel[next % SLOTS])) {
        next++;
    }
    return next * SLOT_US;
}

int main(int argc, char **argv)
{
    must(argc == 2, "bench_model PORT");
    prepare_process();
    write_templates();
    for (size_t i = 0; i < SLOTS; i++) {
        list_init(&wheel[i]);
    }
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = loopback(argv[1]);
    must(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
             bind(listener, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(listener, 4096) == 0,
         argv[1]);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch(poll_fd, listener, EPOLLIN, NULL);
    struct epoll_event ready[READY_MOST];
    for (;;) {
        int count = wait_until(poll_fd, ready, turn_wheel());
        for (int i = 0; i < count; i++) {
            if (ready[i].data.ptr == NULL) {
                on_accept(listener);
            } else {
                on_ready(ready[i].data.ptr);
            }
        }
    }
}
