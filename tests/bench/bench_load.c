/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_load.c — the load of `make bench` that wrk cannot make: calls at a fixed rate, and streams.
 *
 *     bench_load calls   PORT REQUEST-FILE RATE    CONNECTIONS SECONDS
 *     bench_load exactly PORT REQUEST-FILE CALLS   CONNECTIONS
 *     bench_load streams PORT REQUEST-FILE STREAMS SECONDS
 *
 * The file holds one request, head and body; the first NUMBER_MARK in it becomes the number of the
 * call, so that no two are the same. Calls begin when they are due, whether others have
 * ended or not (open loop): what a slow reply delays counts as that delay. `exactly` so many are
 * made as fast as they go, one at a time on each connection. Streams are opened, and
 * when all have had an event, the measured time begins; an event's lateness is the time since the
 * model server sent it (bench_net.h). Prints "begin", then "end" and one line of JSON.
 */
#include "bench_net.h"

#include "base/list.h"
#include "base/span.h"

#define DIALLING_MOST 64
#define SAMPLES_MOST  4000000
#define WARM_US       300000
#define SETTLE_US     1000000 /* after the last stream was opened */
#define GIVE_UP_US    60000000
#define NUMBER_MARK   "########"

enum phase { OPENING, WARM, MEASURED, OVER };

struct flow {
    int fd;
    bool busy, heard;
    uint64_t left; /* of the reply; 0: its head has not come */
    int64_t since; /* when its call was due */
    struct list link;
};

static struct {
    struct span request;
    char *number; /* in it, as many digits as NUMBER_MARK has; NULL: all calls are the same */
    struct sockaddr_in to;
    bool streams;
    int64_t interval_ns; /* between calls; 0: each begins as soon as a connection is idle */
    int64_t calls;       /* where that is so: how many */
    uint32_t count;
    int64_t measure_us;
} plan;

static struct flow *flows;
static struct list idle; /* flows */
static enum phase phase;
static int64_t phase_until, calls_from, calls_begun;
static uint32_t dialled, heard_from, dialling;
static uint64_t failures, done;
static int32_t *samples;
static size_t sample_count;
static int poll_fd;
static char scratch[READ_BYTES];

static void sample(int64_t us)
{
    if (phase == MEASURED && sample_count < SAMPLES_MOST) {
        samples[sample_count++] = us > INT32_MAX ? INT32_MAX : (int32_t)us;
    }
}

static void fail(struct flow *f)
{
    failures++;
    f->busy = false;
    list_remove(&f->link);
    must(phase != OPENING, "the gateway refuses");
    (void)close(f->fd); /* what it held is lost: counted */
    f->fd = -1;
}

static void send_request(struct flow *f)
{
    size_t sent = 0;
    while (sent < plan.request.len) {
        ssize_t n = send(f->fd, plan.request.at + sent, plan.request.len - sent,
                         MSG_NOSIGNAL | MSG_WAITALL);
        if (n < 0 && errno == EAGAIN) {
            continue; /* a long body: the other end is reading it */
        }
        if (n < 0) {
            fail(f);
            return;
        }
        sent += (size_t)n;
    }
}

static void dial(struct flow *f)
{
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(f->fd >= 0 && connect(f->fd, (struct sockaddr *)&plan.to, sizeof(plan.to)) == 0,
         "connect");
    no_delay(f->fd);
    struct timeval forever = {0};
    must(setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever)) == 0, "socket");
    watch(poll_fd, f->fd, EPOLLIN, f);
    list_init(&f->link);
    if (plan.streams) {
        dialling++;
        send_request(f);
    } else {
        list_push_back(&idle, &f->link);
    }
}

/* The first read of a reply holds its whole head. */
static bool read_reply_head(struct flow *f, struct span bytes)
{
    const char *end = memmem(bytes.at, bytes.len, "\r\n\r\n", 4);
    if (end == NULL || bytes.len < 12 || memcmp(bytes.at + 9, "200", 3) != 0) {
        return false;
    }
    size_t len = (size_t)(end - (const char *)bytes.at) + 4;
    for (size_t i = 0; i + 16 < len; i++) {
        const char *at = (const char *)bytes.at + i;
        if (*at == '\n' && strncasecmp(at + 1, "content-length:", 15) == 0) {
            f->left = len + strtoul(at + 16, NULL, 10);
            return true;
        }
    }
    return false;
}

static void on_reply(struct flow *f, struct span bytes)
{
    if (!f->busy || (f->left == 0 && !read_reply_head(f, bytes)) || bytes.len > f->left) {
        fail(f);
        return;
    }
    f->left -= bytes.len;
    if (f->left == 0) {
        sample(clock_mono().us - f->since);
        done += phase == MEASURED ? 1 : 0;
        f->busy = false;
        list_push_front(&idle, &f->link);
    }
}

static void on_events(struct flow *f, struct span bytes)
{
    if (!f->heard && (bytes.len < 12 || memcmp(bytes.at + 9, "200", 3) != 0)) {
        fail(f);
        return;
    }
    int64_t now = clock_mono().us;
    const char *at = (const char *)bytes.at, *end = at + bytes.len;
    while ((at = memmem(at, (size_t)(end - at), STAMP_MARK, 2)) != NULL &&
           end - at >= 2 + STAMP_DIGITS) {
        sample(now - strtoll(at + 2, NULL, 10));
        done += phase == MEASURED ? 1 : 0;
        at += 2 + STAMP_DIGITS;
    }
    if (!f->heard) {
        f->heard = true;
        heard_from++;
        dialling--;
    }
}

static void on_ready(struct flow *f)
{
    if (f->fd < 0) {
        return;
    }
    ssize_t len = recv(f->fd, scratch, sizeof(scratch), MSG_DONTWAIT);
    if (len < 0 && errno == EAGAIN) {
        return;
    }
    if (len <= 0) {
        fail(f);
    } else if (plan.streams) {
        on_events(f, span_make(scratch, (size_t)len));
    } else {
        on_reply(f, span_make(scratch, (size_t)len));
    }
}

static void write_number(int64_t number)
{
    for (size_t i = sizeof(NUMBER_MARK) - 1; plan.number != NULL && i-- > 0; number /= 10) {
        plan.number[i] = (char)('0' + number % 10);
    }
}

static void begin_call(struct flow *f, int64_t due)
{
    f->busy = true;
    f->since = due;
    write_number(calls_begun++);
    send_request(f);
}

static int64_t begin_exactly(void)
{
    struct list *link = NULL;
    while (phase == MEASURED && calls_begun < plan.calls &&
           (link = list_pop_front(&idle)) != NULL) {
        begin_call(LIST_OF(link, struct flow, link), clock_mono().us);
    }
    return INT64_MAX;
}

/* Begins what is due; returns when the next is. */
static int64_t begin_calls(void)
{
    int64_t due = 0;
    if (plan.interval_ns == 0) {
        return begin_exactly();
    }
    while ((due = calls_from + calls_begun * plan.interval_ns / 1000) <= clock_mono().us) {
        struct list *link = list_pop_front(&idle);
        if (link == NULL) {
            return clock_mono().us + 1000; /* all are busy: the call waits, and that counts */
        }
        begin_call(LIST_OF(link, struct flow, link), due);
    }
    return due;
}

static int64_t open_more(void)
{
    while (dialled < plan.count && (!plan.streams || dialling < DIALLING_MOST)) {
        dial(&flows[dialled++]);
    }
    return INT64_MAX;
}

static void say(const char *word)
{
    printf("%s\n", word);
    (void)fflush(stdout); /* whoever reads it may be gone; then nothing matters */
}

/* What follows when this phase's time is up. */
static void next_phase(void)
{
    int64_t now = clock_mono().us;
    if (phase == OPENING) {
        must(now < phase_until, "not all streams have opened");
        if (dialled == plan.count && (!plan.streams || heard_from == plan.count)) {
            phase = WARM;
            phase_until = now + (plan.streams ? SETTLE_US : WARM_US);
            calls_from = now;
        }
    } else if (now >= phase_until && phase == WARM) {
        phase = MEASURED;
        phase_until = now + plan.measure_us;
        say("begin");
    } else if (phase == MEASURED && (now >= phase_until ||
                                     (plan.calls > 0 && done + failures >= (uint64_t)plan.calls))) {
        phase = OVER;
        say("end");
    }
}

static int by_size(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

static int32_t percentile(double part)
{
    return sample_count == 0 ? 0 : samples[(size_t)(part * (double)(sample_count - 1))];
}

static struct span read_file(const char *name)
{
    FILE *file = fopen(name, "rb");
    must(file != NULL, name);
    uint8_t *bytes = malloc(READ_BYTES);
    must(bytes != NULL, "memory");
    size_t len = fread(bytes, 1, READ_BYTES, file);
    (void)fclose(file); /* it was only read */
    plan.number = memmem(bytes, len, NUMBER_MARK, sizeof(NUMBER_MARK) - 1);
    return span_make(bytes, len);
}

static void read_arguments(int argc, char **argv)
{
    plan.streams = argc > 1 && strcmp(argv[1], "streams") == 0;
    bool exactly = argc > 1 && strcmp(argv[1], "exactly") == 0;
    must(argc == (plan.streams || exactly ? 6 : 7),
         "bench_load calls|exactly|streams PORT FILE ...");
    plan.to = loopback(argv[2]);
    plan.request = read_file(argv[3]);
    if (plan.streams) {
        plan.count = (uint32_t)strtoul(argv[4], NULL, 10);
    } else {
        long number = strtol(argv[4], NULL, 10);
        plan.calls = exactly ? number : 0;
        plan.interval_ns = exactly ? 0 : 1000000000 / number;
        plan.count = (uint32_t)strtoul(argv[5], NULL, 10);
    }
    plan.measure_us = exactly ? GIVE_UP_US : (int64_t)(strtod(argv[argc - 1], NULL) * 1e6);
}

int main(int argc, char **argv)
{
    read_arguments(argc, argv);
    prepare_process();
    list_init(&idle);
    flows = calloc(plan.count, sizeof(*flows));
    samples = malloc(SAMPLES_MOST * sizeof(*samples));
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    must(flows != NULL && samples != NULL && poll_fd >= 0, "memory");
    phase_until = clock_mono().us + GIVE_UP_US;
    struct epoll_event ready[READY_MOST];
    while (phase != OVER) {
        int64_t until = phase == OPENING ? open_more() : plan.streams ? INT64_MAX : begin_calls();
        int64_t look = clock_mono().us + 100000;
        until = until < look ? until : look;
        until = phase != OPENING && phase_until < until ? phase_until : until;
        int count = wait_until(poll_fd, ready, until);
        for (int i = 0; i < count; i++) {
            on_ready(ready[i].data.ptr);
        }
        next_phase();
    }
    qsort(samples, sample_count, sizeof(*samples), by_size);
    printf("{\"done\": %llu, \"failures\": %llu, \"p50_us\": %d, \"p99_us\": %d, \"max_us\": %d}\n",
           (unsigned long long)done, (unsigned long long)failures, percentile(0.5),
           percentile(0.99), percentile(1.0));
    return 0;
}
