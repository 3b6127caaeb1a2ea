/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/health.h"
#include "base/memory.h"
#include "cli/cli_data.h"
#include "fault.h"
#include "journal/journal.h"
#include "journal/journal_apply.h"
#include "journal/journal_internal.h"
#include "keys/keys_change.h"
#include "store/store.h"
#include "store/store_thread.h"

static void die(const char *what)
{
    (void)fprintf(stderr, "fault: %s\n", what);
    abort();
}

static void remove_folder(const char *path)
{
    char command[2 * WORLD_PATH];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", path);
    if (system(command) != 0) {
        die(command);
    }
}

/* ---- making ---- */

void world_configure(const struct world *w, const char *model, const char *more)
{
    FILE *f = fopen(w->config, "w");
    if (f == NULL) {
        die("the configuration cannot be written");
    }
    (void)fprintf(
        f,
        "zone: here\nregion: home\ndata: ./data\nworkers: %d\ndrain_notice: 0s\ndrain_timeout: 1s\n"
        "listen:\n  - address: 127.0.0.1:0\n"
        "  - address: 127.0.0.1:0\n"
        "    tls: { certificate: %s/tls.crt, key: %s/tls.key }\n"
        "admin: { address: 127.0.0.1:%u }\n"
        "log: { access: access.log }\n"
        "journal: { slots: 64, segment_max: 1MiB, commit_interval: 1ms }\n"
        "calls: { buffered_max: 64MiB, max: 62 }\n",
        w->workers, w->folder, w->folder, w->admin_port);
    (void)fprintf(
        f,
        "upstreams:\n"
        "  near: { url: \"http://127.0.0.1:%u/near/v1\", region: home, api_key: secret }\n"
        "  named: { url: \"http://localhost:%u/v1\", region: home }\n"
        "  far: { url: \"http://127.0.0.1:%u/v1\", region: abroad, kind: vllm }\n",
        w->model_port, w->model_port, w->model_port);
    (void)fprintf(f, "models:\n"
                     "  keep: { catalogue: none, upstream: near, aliases: [kept] }\n"
                     "  close: { catalogue: none, upstream: near }\n"
                     "  broken: { catalogue: none, upstream: near }\n"
                     "  named: { catalogue: none, upstream: named, upstream_name: close }\n"
                     "  far: { catalogue: none, upstream: far, upstream_name: close }\n"
                     "  priced: { catalogue: none, upstream: near, upstream_name: keep, "
                     "price: { input: 1, output: 2 } }\n");
    if (model != NULL) {
        (void)fprintf(f, "  %s: { catalogue: none, upstream: near, upstream_name: keep }\n", model);
    }
    (void)fprintf(f, "%s", more == NULL ? "" : more);
    if (fclose(f) != 0) {
        die("the configuration cannot be written");
    }
}

void world_make_data(struct world *w)
{
    struct cli_data_made made;
    char path[2 * WORLD_PATH], id[KEY_ID_CHARS + 1];
    struct store *store = NULL;
    struct keys *keys = NULL;
    struct keys_report report;
    struct key_text text;
    const struct key_wish wish = {.kind = KEY_LIVE, .name = SPAN("first")};
    if (cli_data_make(w->data, &made) != ERR_OK) {
        die(made.problem);
    }
    (void)snprintf(path, sizeof(path), "%s/" KEYS_PEPPER_FILE, w->data);
    if (cli_data_open_store(w->data, &store) != ERR_OK || keys_open(path, &keys) != ERR_OK ||
        keys_load(keys, store, NULL, &report) != ERR_OK ||
        keys_create(keys, store, &wish, clock_wall(), &text, id) != ERR_OK) {
        die("the key cannot be made");
    }
    (void)snprintf(w->key, sizeof(w->key), "%s", text.text);
    keys_close(&keys);
    store_close(&store);
}

void world_remove_data(const struct world *w)
{
    remove_folder(w->data);
}

static void make_certificate(const struct world *w)
{
    char command[4 * WORLD_PATH];
    (void)snprintf(command, sizeof(command),
                   "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                   "-subj /CN=here -keyout '%s/tls.key' -out '%s/tls.crt' >/dev/null 2>&1",
                   w->folder, w->folder);
    if (system(command) != 0) {
        die("openssl cannot make a certificate");
    }
}

void world_make(struct world *w, int workers)
{
    struct stat is;
    *w = (struct world){.workers = workers, .ended = -1, .client = -1, .lock_fd = -1};
    /* In memory where that can be: the disk's own time says nothing here. */
    (void)snprintf(w->folder, sizeof(w->folder), "%s/atlas-fault-XXXXXX",
                   stat("/dev/shm", &is) == 0 && access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                                                                               : "/tmp");
    if (mkdtemp(w->folder) == NULL || pthread_mutex_init(&w->lock, NULL) != 0) {
        die("no folder can be made");
    }
    (void)snprintf(w->config, sizeof(w->config), "%s/atlas.yaml", w->folder);
    (void)snprintf(w->data, sizeof(w->data), "%s/data", w->folder);
    (void)snprintf(w->log, sizeof(w->log), "%s/log", w->folder);
    (void)snprintf(w->socket, sizeof(w->socket), "%s/data/admin.sock", w->folder);
    w->model_port = peer_start();
    make_certificate(w);
    world_configure(w, NULL, NULL);
    world_make_data(w);
}

void world_remove(struct world *w)
{
    remove_folder(w->folder);
}

/* ---- opening ---- */

static uint16_t port_of(int fd)
{
    struct sockaddr_in at = {0};
    socklen_t len = sizeof(at);
    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        die("getsockname");
    }
    return ntohs(at.sin_port);
}

/* What the parent opens, told to the child as it is told there. */
static enum err open_parent(struct world *w, struct serve_inherited *out)
{
    struct serve_inherited in;
    struct settings *settings = NULL;
    enum err e = serve_settings_read(w->config, &settings);
    if (e != ERR_OK) {
        return e;
    }
    e = cli_data_lock(w->data, CLI_LOCK_ALONE, 0, &w->lock_fd);
    if (e != ERR_OK) {
        log_error("data_folder", "%s", err_sentence(e)); /* as the parent says */
        settings_close(&settings);
        return e;
    }
    e = serve_open_listeners(settings, &in);
    settings_close(&settings);
    if (e != ERR_OK) {
        return e;
    }
    e = serve_export(&in);
    if (e == ERR_OK) {
        e = serve_import(out);
    }
    if (e == ERR_OK) {
        memory_free(in.fds); /* the descriptors are the child's now */
    } else {
        log_error("start", "%s", err_sentence(e)); /* as parent or child say */
        serve_close_listeners(&in);
    }
    return e;
}

static enum err open_child(struct world *w, struct serve_inherited *in)
{
    struct settings *settings = NULL;
    bool was_test = inject_exempt(true); /* the parent has read it in the same way */
    enum err e = serve_settings_read(w->config, &settings);
    (void)inject_exempt(was_test);
    if (e != ERR_OK) {
        serve_close_listeners(in);
        return e;
    }
    w->port = port_of(in->fds[0]);
    return serve_gateway_open(w->config, &settings, in, &w->g);
}

enum err world_open(struct world *w)
{
    struct serve_inherited in;
    w->g = NULL;
    enum err e = open_parent(w, &in);
    if (e == ERR_OK) {
        e = open_child(w, &in);
    }
    if (e != ERR_OK) {
        world_close(w);
    }
    return e;
}

void world_close(struct world *w)
{
    serve_gateway_close(&w->g);
    if (w->lock_fd >= 0) {
        (void)close(w->lock_fd); /* lets go of it */
        w->lock_fd = -1;
    }
}

static void *keep_house(void *arg)
{
    struct world *w = arg;
    enum err e = serve_gateway_run(w->g);
    atomic_store(&w->ended, (int)e);
    if (e == ERR_DISK) { /* the process would end: so would its connections */
        (void)pthread_mutex_lock(&w->lock);
        if (w->client >= 0) {
            (void)shutdown(w->client, SHUT_RDWR);
        }
        (void)pthread_mutex_unlock(&w->lock);
    }
    return NULL;
}

void world_run(struct world *w)
{
    atomic_store(&w->ended, -1);
    if (pthread_create(&w->housekeeping, NULL, keep_house, w) != 0) {
        die("no thread");
    }
    w->runs = true;
}

void world_stop(struct world *w)
{
    if (!w->runs) {
        return;
    }
    if (atomic_load(&w->ended) < 0 && kill(getpid(), SIGTERM) != 0) {
        die("kill");
    }
    (void)pthread_join(w->housekeeping, NULL);
    w->runs = false;
}

void world_start(struct world *w)
{
    enum err e = world_open(w);
    if (e != ERR_OK) {
        fault_wrong("the gateway does not start: %s", err_name(e));
        die("nothing can be tested without a gateway");
    }
    world_run(w);
}

/* ---- calls ---- */

void world_note_client(struct world *w, int fd)
{
    (void)pthread_mutex_lock(&w->lock);
    w->client = fd;
    (void)pthread_mutex_unlock(&w->lock);
}

void world_call(struct world *w, const struct peer_request *request, struct peer_reply *out)
{
    int fd = peer_connect(w->port, NULL);
    if (fd < 0) {
        die("the gateway's port does not answer");
    }
    world_note_client(w, fd);
    peer_call(fd, request, out);
    world_note_client(w, -1);
    (void)close(fd);
}

/* ---- rest ---- */

bool world_until(bool (*is_so)(struct world *w), struct world *w)
{
    struct timespec pause = {.tv_nsec = 20000};
    mono_us end = clock_after_ms(clock_mono(), 10000);
    while (!is_so(w)) {
        if (clock_since(end, clock_mono()) >= 0) {
            return false;
        }
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

static bool is_quiet(struct world *w)
{
    return atomic_load(&w->g->calls_open) == 0 && atomic_load(&w->g->connections) == 0 &&
           memory_taken() == 0 && memory_taken_for_strangers() == 0;
}

static bool is_applied(struct world *w)
{
    return store_thread_load(w->g->store_thread) == 0;
}

static bool are_slots_free(struct world *w)
{
    for (int i = 0; i < w->workers; i++) {
        const struct journal_lane *lane = journal_lane(w->g->journal, (size_t)i);
        uint32_t touched = atomic_load(&lane->file->touched);
        for (uint32_t s = 0; s < touched; s++) {
            struct journal_slot *slot = journal_slot_at(lane->file, s, lane->slot_bytes);
            if (atomic_load(&slot->state) != JOURNAL_FREE) {
                return false;
            }
        }
    }
    return true;
}

void world_settle(struct world *w)
{
    if (!world_until(is_quiet, w)) {
        fault_wrong("%lld calls, %lld connections, %llu bytes are held still",
                    (long long)atomic_load(&w->g->calls_open),
                    (long long)atomic_load(&w->g->connections), (unsigned long long)memory_taken());
        die("it does not come to rest");
    }
    if (journal_settle(w->g->journal) != ERR_OK) {
        return; /* world_recover() looks after it */
    }
    if (!world_until(are_slots_free, w)) {
        fault_wrong("a slot of the journal is held still");
    }
    journal_apply_step(w->g->apply);
    if (!world_until(is_applied, w)) {
        fault_wrong("the store does not come to rest");
    }
}

bool world_has_recorded(struct world *w)
{
    return list_is_empty(&w->g->policies.waiting) || w->g->policies.failing.us != 0 ||
           journal_state(w->g->journal) == ERR_DISK;
}

/* The journal has room, and housekeeping has seen it. */
static bool has_room(struct world *w)
{
    enum err state = journal_state(w->g->journal);
    return state == ERR_DISK || (state == ERR_OK && health_refusal() != ERR_DISK_FULL);
}

void world_recover(struct world *w)
{
    if (!world_until(has_room, w)) {
        fault_wrong("the journal does not go on after the disk was full");
    }
    if (journal_state(w->g->journal) == ERR_DISK) {
        world_stop(w);
        world_close(w);
        world_start(w);
    } else if (w->runs && atomic_load(&w->ended) >= 0) {
        fault_wrong("the housekeeping loop has ended");
        world_stop(w);
        world_close(w);
        world_start(w);
    }
    world_settle(w);
}

static int count_entries(const char *path)
{
    int count = 0;
    DIR *folder = opendir(path);
    while (folder != NULL && readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count - 2; /* two names for folders */
}

int world_fds(void)
{
    return count_entries("/proc/self/fd") - 1; /* itself */
}

void world_count_before(struct world *w)
{
    w->blocks = inject_blocks();
    w->fds = world_fds();
    w->threads = count_entries("/proc/self/task");
}

/* The model server's connections end when the gateway's do, in threads of their own. */
static bool are_fds_closed(struct world *w)
{
    return world_fds() <= w->fds;
}

static bool are_threads_ended(struct world *w)
{
    return count_entries("/proc/self/task") <= w->threads;
}

void world_check_counts(struct world *w)
{
    if (inject_blocks() != w->blocks) {
        fault_wrong("%ld blocks of memory are not given back", inject_blocks() - w->blocks);
        w->blocks = inject_blocks();
    }
    if (!world_until(are_fds_closed, w)) {
        fault_wrong("%d descriptors are not closed", world_fds() - w->fds);
        w->fds = world_fds();
    }
    if (!world_until(are_threads_ended, w)) {
        fault_wrong("%d threads have not ended", count_entries("/proc/self/task") - w->threads);
        w->threads = count_entries("/proc/self/task");
    }
}

const char *world_log(const struct world *w, long from)
{
    static char text[65536];
    size_t len = 0;
    FILE *f = fopen(w->log, "r");
    if (f != NULL && fseek(f, from, SEEK_SET) == 0) {
        len = fread(text, 1, sizeof(text) - 1, f);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    text[len] = '\0';
    return text;
}
