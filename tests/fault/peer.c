/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking sockets with a limit on each wait: a reply that does not come is a failure, not a hang.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "inject.h"

#define REQUEST_MAX (1 << 20)

char peer_seen[PEER_SEEN_MAX][PEER_ID_CHARS + 1];
static atomic_size_t seen;

size_t peer_seen_count(void)
{
    return atomic_load(&seen);
}

void peer_forget(size_t count)
{
    atomic_store(&seen, count);
}

static void die(const char *what)
{
    perror(what);
    abort();
}

static bool send_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        text += n;
        len -= (size_t)n;
    }
    return true;
}

static bool send_text(int fd, const char *text)
{
    return send_all(fd, text, strlen(text));
}

/* ---- the model server ---- */

static void note_seen(const char *head)
{
    static const char name[] = "\r\nx-request-id: ";
    const char *at = strcasestr(head, name);
    size_t number = atomic_fetch_add(&seen, 1);
    if (at == NULL || number >= PEER_SEEN_MAX) {
        (void)fprintf(stderr, "the model server read a request without an id, or too many\n");
        abort();
    }
    memcpy(peer_seen[number], at + sizeof(name) - 1, PEER_ID_CHARS);
}

static bool send_stream(int fd, const char *connection)
{
    char text[512];
    (void)snprintf(text, sizeof(text),
                   "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                   "Transfer-Encoding: chunked\r\n%s\r\n",
                   connection);
    bool ok = send_text(fd, text);
    for (int i = 0; ok && i <= PEER_TOKENS + 2; i++) {
        char event[384];
        int len;
        if (i < PEER_TOKENS) {
            len =
                snprintf(event, sizeof(event),
                         "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,"
                         "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":"
                         "\"<%d>\"},\"finish_reason\":null}]}\n\n",
                         i);
        } else if (i == PEER_TOKENS) {
            len =
                snprintf(event, sizeof(event),
                         "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,"
                         "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},"
                         "\"finish_reason\":\"stop\"}]}\n\n");
        } else if (i == PEER_TOKENS + 1) {
            len =
                snprintf(event, sizeof(event),
                         "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,"
                         "\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,"
                         "\"completion_tokens\":12,\"total_tokens\":17}}\n\n");
        } else {
            len = snprintf(event, sizeof(event), "data: [DONE]\n\n");
        }
        (void)snprintf(text, sizeof(text), "%x\r\n%s\r\n", (unsigned)len, event);
        ok = send_text(fd, text);
    }
    return ok && send_text(fd, "0\r\n\r\n");
}

static bool send_json(int fd, const char *status, const char *connection, const char *body)
{
    char text[2048];
    (void)snprintf(
        text, sizeof(text),
        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n%s", status,
        strlen(body), connection, body);
    return send_text(fd, text);
}

/* The server below /near wants its key, the others must not see it. */
static bool is_allowed(const char *head)
{
    bool has_key = strcasestr(head, "\r\nauthorization: ") != NULL;
    bool is_near = strstr(head, " /near/") != NULL;
    return is_near ? strcasestr(head, "\r\nauthorization: Bearer secret") != NULL : !has_key;
}

static bool answer(int fd, const char *head, const char *body, bool closes)
{
    const char *connection = closes ? "Connection: close\r\n" : "";
    note_seen(head);
    if (!is_allowed(head)) {
        return send_json(fd, "401 Who are you", connection,
                         "{\"error\":{\"message\":\"the key is wrong\",\"type\":\"x\"}}");
    }
    if (strstr(body, "\"broken\"") != NULL) {
        return send_json(fd, "500 Oh no", connection,
                         "{\"error\":{\"message\":\"the model fell over\",\"type\":\"x\"}}");
    }
    if (strstr(head, "/embeddings ") != NULL) {
        return send_json(fd, "200 OK", connection,
                         "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,"
                         "\"embedding\":[0.5,-1.25,2,0.0078125]},{\"object\":\"embedding\","
                         "\"index\":1,\"embedding\":[1,2,3,4]}],\"model\":\"m\",\"usage\":{"
                         "\"prompt_tokens\":7,\"total_tokens\":7}}");
    }
    if (strstr(body, "\"stream\":true") != NULL) {
        return send_stream(fd, connection);
    }
    return send_json(
        fd, "200 OK", connection,
        "{\"id\":\"c1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"" PEER_TEXT
        "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,"
        "\"completion_tokens\":6,\"total_tokens\":11}}");
}

/* Reads one request into `bytes`; false at the connection's end. */
static bool read_request(int fd, char *bytes, char **body)
{
    size_t len = 0, need = REQUEST_MAX;
    *body = NULL;
    while (len < need) {
        ssize_t n = recv(fd, bytes + len, REQUEST_MAX - 1 - len, 0);
        if (n <= 0) {
            return false;
        }
        len += (size_t)n;
        bytes[len] = '\0';
        char *end = *body == NULL ? strstr(bytes, "\r\n\r\n") : NULL;
        if (end != NULL) {
            const char *length = strcasestr(bytes, "\r\ncontent-length: ");
            *end = '\0';
            *body = end + 4;
            need =
                (size_t)(*body - bytes) +
                (length == NULL ? 0 : strtoul(length + strlen("\r\ncontent-length: "), NULL, 10));
        }
    }
    return *body != NULL;
}

static void *serve_one(void *arg)
{
    static _Thread_local char bytes[REQUEST_MAX];
    int fd = (int)(intptr_t)arg;
    char *body;
    (void)inject_exempt(true);
    while (read_request(fd, bytes, &body)) {
        bool closes = strstr(body, "\"close\"") != NULL;
        if (!answer(fd, bytes, body, closes) || closes) {
            break;
        }
    }
    (void)close(fd);
    return NULL;
}

static void *serve(void *arg)
{
    int listener = (int)(intptr_t)arg;
    (void)inject_exempt(true);
    for (;;) {
        int on = 1;
        int fd = accept(listener, NULL, NULL);
        pthread_t thread;
        if (fd < 0) {
            die("accept");
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)fd) != 0) {
            die("pthread_create");
        }
        (void)pthread_detach(thread);
    }
    return NULL;
}

uint16_t peer_start(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_t thread;
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0 ||
        pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0) {
        die("the model server");
    }
    (void)pthread_detach(thread);
    return ntohs(at.sin_port);
}

/* ---- the client ---- */

int peer_connect(uint16_t port, const char *path)
{
    struct timeval limit = {.tv_sec = PEER_PATIENCE_S};
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(path == NULL ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        die("socket");
    }
    int result;
    if (path == NULL) {
        result = connect(fd, (struct sockaddr *)&at, sizeof(at));
    } else {
        (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
        result = connect(fd, (struct sockaddr *)&un, sizeof(un));
    }
    if (result != 0) {
        (void)close(fd);
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
}

const char *peer_header(struct peer_reply *r, const char *name, char value[256])
{
    size_t len = strlen(name);
    for (char *line = strstr(r->raw, "\r\n"); line != NULL && strncmp(line, "\r\n\r\n", 4) != 0;
         line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':') {
            const char *from = line + 3 + len;
            from += strspn(from, " ");
            (void)snprintf(value, 256, "%.*s", (int)strcspn(from, "\r"), from);
            return value;
        }
    }
    return NULL;
}

/* Puts a chunked body together where it lies. 1: whole; 0: more is to come; -1: not chunks. */
static int unchunk(struct peer_reply *r, char *from, const char *end)
{
    char *to = r->body;
    for (;;) {
        char *after;
        char *line = strstr(from, "\r\n");
        if (line == NULL) {
            return 0;
        }
        unsigned long size = strtoul(from, &after, 16);
        if (after != line) {
            return -1;
        }
        if (end - line < (long)size + 4) {
            return 0;
        }
        if (size == 0) {
            r->body_len = (size_t)(to - r->body);
            *to = '\0';
            return line + 4 == end ? 1 : -1;
        }
        memmove(to, line + 2, size);
        to += size;
        from = line + 2 + size + 2;
    }
}

/* Whether the reply is whole; only then its body is set. */
static bool is_whole(struct peer_reply *r)
{
    static char chunked[PEER_REPLY_MAX];
    char value[256];
    char *head_end = strstr(r->raw, "\r\n\r\n");
    if (head_end == NULL) {
        return false;
    }
    if (sscanf(r->raw, "HTTP/1.1 %d ", &r->status) != 1) {
        r->end = PEER_ABSURD;
        return true;
    }
    r->closes = peer_header(r, "connection", value) != NULL && strcasecmp(value, "close") == 0;
    r->body = head_end + 4;
    if (r->status == 204 || r->status == 304) {
        r->body_len = 0;
        return true;
    }
    if (peer_header(r, "content-length", value) != NULL) {
        r->body_len = strtoul(value, NULL, 10);
        return r->raw_len == (size_t)(r->body - r->raw) + r->body_len;
    }
    if (peer_header(r, "transfer-encoding", value) == NULL) {
        r->end = PEER_ABSURD;
        return true;
    }
    memcpy(chunked, r->body, r->raw_len - (size_t)(r->body - r->raw) + 1);
    r->body = chunked;
    int result = unchunk(r, chunked, chunked + (r->raw_len - (size_t)(head_end + 4 - r->raw)));
    r->end = result < 0 ? PEER_ABSURD : r->end;
    return result != 0;
}

static void read_reply(int fd, bool goes, struct peer_reply *r)
{
    while (r->raw_len < sizeof(r->raw) - 1) {
        ssize_t n = recv(fd, r->raw + r->raw_len, sizeof(r->raw) - 1 - r->raw_len, 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET)) {
            r->end = r->raw_len == 0 ? PEER_NONE : PEER_CUT;
            return;
        }
        if (n < 0) {
            r->end = PEER_LATE;
            return;
        }
        r->raw_len += (size_t)n;
        r->raw[r->raw_len] = '\0';
        if (goes) {
            r->end = PEER_CUT;
            return;
        }
        if (is_whole(r)) {
            return;
        }
    }
    r->end = PEER_ABSURD;
}

void peer_call(int fd, const struct peer_request *request, struct peer_reply *out)
{
    char head[1024];
    const char *body = request->body == NULL ? "" : request->body;
    out->end = PEER_WHOLE;
    out->status = 0;
    out->raw_len = out->body_len = 0;
    out->raw[0] = '\0';
    out->body = out->raw;
    (void)snprintf(
        head, sizeof(head), "%s %s HTTP/1.1\r\nHost: here\r\n%s%s%s%sContent-Length: %zu\r\n\r\n",
        request->method, request->path, request->key == NULL ? "" : "Authorization: Bearer ",
        request->key == NULL ? "" : request->key, request->key == NULL ? "" : "\r\n",
        request->body == NULL ? "" : "Content-Type: application/json\r\n", strlen(body));
    /* The gateway may close before it has all: what it said before that is what counts. */
    if (send_text(fd, head) && send_text(fd, body)) {
        /* sent whole */
    }
    read_reply(fd, request->goes, out);
}
