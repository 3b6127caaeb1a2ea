/* SPDX-License-Identifier: Apache-2.0 */
/* test_doctor.c — what the doctor finds, and how it says so. */
#include "settings/settings_file.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/statvfs.h>

#include "base/holder.h"
#include "doctor/doctor_internal.h"

/* In place of the C library's: this program's disk does not say its size, as ramfs does not. */
int statvfs(const char *file, struct statvfs *buf)
{
    (void)file;
    *buf = (struct statvfs){.f_frsize = 4096};
    return 0;
}

/* The doctor's findings as a text. */
struct room {
    struct settings_file file;
    struct settings *settings;
    struct doctor doctor;
    char *said;
    size_t len;
};

static void room_begin(struct room *r, const char *text)
{
    *r = (struct room){0};
    settings_file_begin(&r->file);
    char *problems = settings_file_open(&r->file, text, &r->settings);
    assert_string_equal(problems, "");
    memory_free(problems);
    r->doctor.settings = r->settings;
    r->doctor.out = open_memstream(&r->said, &r->len);
    assert_non_null(r->doctor.out);
}

static void room_end(struct room *r)
{
    assert_int_equal(fclose(r->doctor.out), 0);
    free(r->said);
    settings_close(&r->settings);
    settings_file_end(&r->file);
}

/* A socket that listens on a free port of loopback. */
static int listen_somewhere(unsigned *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static void a_line_names_finding_thing_and_sentence(void **state)
{
    (void)state;
    struct room r;
    room_begin(&r, "");
    doctor_say(&r.doctor, DOCTOR_OK, "disk", "%d MiB are free", 9);
    doctor_say(&r.doctor, DOCTOR_WARN, "clock", "slow");
    doctor_say(&r.doctor, DOCTOR_FAIL, "store", "gone");
    assert_string_equal(r.said,
                        "ok    disk: 9 MiB are free\nwarn  clock: slow\nFAIL  store: gone\n");
    assert_int_equal(r.doctor.found[DOCTOR_FAIL], 1);
    room_end(&r);
}

static void a_missing_data_folder_fails_with_the_command_that_makes_it(void **state)
{
    (void)state;
    struct room r;
    room_begin(&r, "data: /nonexistent/data\n");
    doctor_check_data(&r.doctor);
    assert_non_null(strstr(r.said, "FAIL  data folder: /nonexistent/data: No such file"));
    assert_non_null(strstr(r.said, "atlas init --config"));
    assert_int_equal(r.doctor.found[DOCTOR_FAIL],
                     1); /* what is missing with it is not said again */
    room_end(&r);
}

static void a_disk_that_does_not_say_its_size_is_no_full_one(void **state)
{
    (void)state;
    struct room r;
    char data[] = "/tmp/atlas-doctor-XXXXXX", text[64];
    assert_non_null(mkdtemp(data));
    snprintf(text, sizeof(text), "data: %s\n", data);
    room_begin(&r, text);
    doctor_check_data(&r.doctor);
    assert_int_equal(fflush(r.doctor.out), 0);
    assert_non_null(strstr(r.said, "ok    disk: it does not say how much is free"));
    room_end(&r);
    assert_int_equal(rmdir(data), 0);
}

static void a_held_port_is_named_with_its_holder(void **state)
{
    (void)state;
    struct room r;
    unsigned port;
    char text[200];
    char expect[200];
    int fd = listen_somewhere(&port);
    snprintf(text, sizeof(text),
             "listen: [{address: '127.0.0.1:%u'}]\nadmin: {address: "
             "'127.0.0.1:0'}\n",
             port);
    room_begin(&r, text);
    doctor_check_ports(&r.doctor);
    snprintf(expect, sizeof(expect), "127.0.0.1:%u is held by ", port);
    assert_non_null(strstr(r.said, expect));
    snprintf(expect, sizeof(expect), "(process %d) — stop it", (int)getpid());
    assert_non_null(strstr(r.said, expect));
    assert_non_null(strstr(r.said, "ok    admin: "));
    assert_int_equal(close(fd), 0);
    char holder[64];
    (void)holder_of_port(port, holder, sizeof(holder));
    assert_string_equal(holder, "another program");
    room_end(&r);
}

static void a_certificate_that_is_not_there_fails(void **state)
{
    (void)state;
    struct room r;
    room_begin(&r, "listen: [{address: '127.0.0.1:1', tls: {certificate: a.crt, key: a.key}}]\n");
    doctor_check_certificates(&r.doctor);
    assert_non_null(strstr(r.said, "FAIL  certificate: 127.0.0.1:1: "));
    room_end(&r);
}

static void connections_beyond_the_limit_on_files_are_a_warning(void **state)
{
    (void)state;
    struct room r;
    room_begin(&r, "client: {connections_max: 1}\ncalls: {max: 1}\n");
    doctor_check_machine(&r.doctor);
    assert_non_null(strstr(r.said, "ok    open files: "));
    room_end(&r);
}

/* Answers one connection with a fixed text. */
struct server {
    int fd;
    const char *answer;
    char head[4096]; /* what was asked */
};

static void *serve_once(void *ctx)
{
    struct server *s = ctx;
    size_t len = 0;
    int fd = accept(s->fd, NULL, NULL);
    while (fd >= 0 && memmem(s->head, len, "\r\n\r\n", 4) == NULL && len < sizeof(s->head) - 1) {
        ssize_t got = read(fd, s->head + len, sizeof(s->head) - 1 - len);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
    }
    (void)!write(fd, s->answer, strlen(s->answer)); /* the test sees it when it fails */
    (void)close(fd);
    return NULL;
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

static void an_upstream_is_judged_by_its_answer(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *said;
    } rows[] = {
        {OK_HEAD "{\"data\":[{\"id\":\"m\"},{\"id\":\"n\"}]}", "answers and lists 2 models\n"},
        {OK_HEAD "{\"data\":[{\"id\":\"n\"},{\"id\":\"o\"}]}",
         "warn  upstream u: it does not list 'm', which the model 'm' asks for; it lists n, o — "
         "set "
         "`upstream_name:`\n"},
        {OK_HEAD "{\"data\":[]}", "it lists nothing — "},
        {OK_HEAD "<html>", "answers, but not with a list of models — should `url:` end in /v1?\n"},
        {"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
         "refuses us (401); its api_key is set — correct `api_key:`\n"},
        {"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "has no /models (404) — "},
        {"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "/v1/models answers 500 — "},
        {"SSH-2.0-OpenSSH\r\n", "not valid HTTP — is that port an HTTP server's"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct server server = {.answer = rows[i].answer};
        struct room r;
        pthread_t thread;
        unsigned port;
        char text[256];
        server.fd = listen_somewhere(&port);
        assert_int_equal(pthread_create(&thread, NULL, serve_once, &server), 0);
        snprintf(text, sizeof(text),
                 "upstreams: {u: {url: 'http://127.0.0.1:%u/v1', api_key: sk-1}}\n"
                 "models: {m: {upstream: u}, 'p*': {upstream: u}}\n",
                 port);
        room_begin(&r, text);
        doctor_check_upstreams(&r.doctor);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(close(server.fd), 0);
        if (strstr(r.said, rows[i].said) == NULL) {
            fail_msg("%s\nwas judged\n%s", rows[i].answer, r.said);
        }
        assert_null(strstr(r.said, "sk-1"));
        assert_non_null(strstr(server.head, "GET /v1/models HTTP/1.1\r\n"));
        assert_non_null(strstr(server.head, "Authorization: Bearer sk-1\r\n"));
        room_end(&r);
    }
}

static void an_upstream_that_is_not_there_fails(void **state)
{
    (void)state;
    struct room r;
    unsigned port;
    char text[128];
    assert_int_equal(close(listen_somewhere(&port)), 0); /* free again, and nobody's */
    snprintf(text, sizeof(text), "upstreams: {u: {url: 'http://127.0.0.1:%u/v1'}}\n", port);
    room_begin(&r, text);
    doctor_check_upstreams(&r.doctor);
    assert_non_null(strstr(r.said, "FAIL  upstream u: "));
    assert_non_null(strstr(r.said, "could not be reached — is it running"));
    room_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_names_finding_thing_and_sentence),
        cmocka_unit_test(a_missing_data_folder_fails_with_the_command_that_makes_it),
        cmocka_unit_test(a_disk_that_does_not_say_its_size_is_no_full_one),
        cmocka_unit_test(a_held_port_is_named_with_its_holder),
        cmocka_unit_test(a_certificate_that_is_not_there_fails),
        cmocka_unit_test(connections_beyond_the_limit_on_files_are_a_warning),
        cmocka_unit_test(an_upstream_is_judged_by_its_answer),
        cmocka_unit_test(an_upstream_that_is_not_there_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
