/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `atlas serve`: the parent. It does so little that it does not fail: it opens listeners, starts
 * the child, passes signals on, and starts the child again when it dies. While there is no child,
 * connections wait in the listeners' backlog.
 *
 * A child that served is started again at once. One that dies before it serves, or that has died
 * often lately, waits longer each time. Where the very first one says that it cannot serve, there
 * is nothing to keep alive: the parent ends too, and whoever started it hears of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli_data.h"
#include "cli/cli_options.h"
#include "main/commands.h"
#include "serve/serve.h"

#define PROBLEMS_BYTES_MAX (128u << 10)
#define QUICK_DEATHS_MAX   10 /* within QUICK_MS: then it waits, too */
#define QUICK_MS           10000
#define WAIT_FIRST_MS      100
#define WAIT_MOST_MS       10000
#define KILL_GRACE_MS      5000 /* beyond the drain timeout */
#define LOCK_WAIT_MS       1000 /* for a command that is at work in the data folder */

struct parent {
    const char *config_path;
    char **argv;
    struct settings *settings;
    struct serve_inherited inherited;
    int signals; /* signalfd */
    sigset_t old_mask;
    pid_t child; /* 0: none runs */
    int ready_read;
    bool child_served;
    bool ever_served; /* a child did */
    bool stopping;
    bool failed; /* the first child could not serve */
    mono_us deaths[QUICK_DEATHS_MAX];
    unsigned death_count, wait_count;
    mono_us start_at; /* of the next child */
    mono_us kill_at;  /* us 0: not set */
};

/* ---- the data folder ---- */

static enum err lock_data(const struct parent *p, int *out)
{
    enum err e = cli_data_lock(p->settings->data, CLI_LOCK_ALONE, LOCK_WAIT_MS, out);
    if (e == ERR_LOCKED) {
        log_error("data_locked", "another Atlas uses %s; stop it first", p->settings->data);
    } else if (e != ERR_OK && errno == ENOENT) {
        log_error("data_folder", "%s is not there; make it with: atlas init --config %s",
                  p->settings->data, p->config_path);
    } else if (e != ERR_OK) {
        log_error("data_folder", "%s cannot be locked: %s", p->settings->data,
                  strerrordesc_np(errno));
    }
    return e;
}

static void look_at_folder(const char *folder)
{
    struct stat st;
    if (stat(folder, &st) == 0 && (st.st_mode & 0077) != 0) {
        log_warn("data_open", "other users may enter %s, where keys and records are; chmod 700 it",
                 folder);
    }
}

static void write_pid(const struct parent *p)
{
    if (p->settings->pid_file == NULL) {
        return;
    }
    FILE *f = fopen(p->settings->pid_file, "we");
    if (f == NULL || fprintf(f, "%d\n", getpid()) < 0 || fclose(f) != 0) {
        log_warn("pid_file", "%s cannot be written: %s", p->settings->pid_file,
                 strerrordesc_np(errno));
    }
}

/* ---- the child ---- */

static void keep_open(int fd)
{
    if (fd >= 0) {
        (void)fcntl(fd, F_SETFD, 0); /* the child says so if it finds it closed */
    }
}

/* Between fork() and exec(): only what is safe there. Does not return. */
static _Noreturn void become_child(const struct parent *p, pid_t parent, int ready_write)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* no parent, no child */
    if (getppid() != parent) {
        _exit(CLI_FAILED);
    }
    for (int i = 0; i < p->inherited.listeners * p->inherited.workers; i++) {
        keep_open(p->inherited.fds[i]);
    }
    keep_open(p->inherited.admin_fd);
    keep_open(p->inherited.socket_fd);
    keep_open(p->inherited.lock_fd);
    keep_open(ready_write);
    sigset_t mask = p->old_mask;
    (void)sigaddset(&mask, SIGHUP);              /* these two wait until it serves: before it */
    (void)sigaddset(&mask, SIGUSR1);             /* has its own handlers they would end it */
    (void)sigprocmask(SIG_SETMASK, &mask, NULL); /* cannot fail with a mask of ours */
    (void)execv("/proc/self/exe", p->argv);      /* returns only on failure */
    _exit(CLI_FAILED);
}

static enum err start_child(struct parent *p)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC | O_NONBLOCK) != 0) {
        return ERR_NET;
    }
    p->inherited.ready_fd = ready[1];
    enum err e = serve_export(&p->inherited);
    if (e != ERR_OK) {
        (void)close(ready[0]); /* unused */
        (void)close(ready[1]); /* unused */
        return e;
    }
    pid_t self = getpid();
    pid_t child = fork();
    if (child == 0) {
        become_child(p, self, ready[1]);
    }
    (void)close(ready[1]);               /* the child has its own */
    (void)unsetenv(SERVE_INHERITED_ENV); /* no other thread runs */
    if (child < 0) {
        (void)close(ready[0]); /* unused */
        return ERR_NO_MEMORY;
    }
    p->child = child;
    p->ready_read = ready[0];
    p->child_served = false;
    return ERR_OK;
}

/* How long to wait before the next child. */
static int64_t choose_wait(struct parent *p, mono_us now)
{
    mono_us oldest = p->deaths[p->death_count % QUICK_DEATHS_MAX];
    bool often =
        p->death_count >= QUICK_DEATHS_MAX && clock_since(oldest, now) < (int64_t)QUICK_MS * 1000;
    p->deaths[p->death_count++ % QUICK_DEATHS_MAX] = now;
    if (p->child_served && !often) {
        p->wait_count = 0;
        return 0;
    }
    int64_t wait = (int64_t)WAIT_FIRST_MS << (p->wait_count < 10 ? p->wait_count : 10);
    p->wait_count++;
    return wait < WAIT_MOST_MS ? wait : WAIT_MOST_MS;
}

static void on_ready(struct parent *p)
{
    char byte;
    ssize_t n = read(p->ready_read, &byte, 1);
    if (n == 1) {
        p->child_served = p->ever_served = true;
        p->wait_count = 0;
    }
    if (n >= 0) {                   /* said, or closed: nothing more will come */
        (void)close(p->ready_read); /* read only */
        p->ready_read = -1;
    }
}

static void start_again(struct parent *p, int status)
{
    mono_us now = clock_mono();
    int64_t wait = choose_wait(p, now);
    p->start_at = clock_after_ms(now, wait);
    if (WIFSIGNALED(status)) {
        log_error("gateway_died", "the gateway was ended by signal %d; it is started again%s",
                  WTERMSIG(status), wait > 0 ? " after a pause, for it dies again and again" : "");
    } else {
        log_error("gateway_died",
                  "the gateway ended with status %d%s; it is started again in %lld ms",
                  WEXITSTATUS(status), p->child_served ? "" : " before it served", (long long)wait);
    }
}

static void on_child_dead(struct parent *p, int status)
{
    p->child = 0;
    if (p->ready_read >= 0) {
        on_ready(p); /* it may have served for less than a turn of our loop */
    }
    if (p->ready_read >= 0) {
        (void)close(p->ready_read); /* read only */
        p->ready_read = -1;
    }
    if (p->stopping) {
        return;
    }
    if (!p->ever_served && WIFEXITED(status)) {
        log_error("start_failed",
                  "the gateway ended with status %d before it ever served: the "
                  "lines above say why",
                  WEXITSTATUS(status));
        p->stopping = p->failed = true;
        return;
    }
    start_again(p, status);
}

static void reap(struct parent *p)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == p->child) {
            on_child_dead(p, status);
        }
    }
}

/* ---- signals ---- */

/* The longest that the child may take to drain: it knows what reloads have changed. */
static int64_t drain_timeout_ms(const struct parent *p)
{
    struct settings *now = NULL;
    struct buf problems;
    int64_t most = p->settings->gateway.drain_timeout_ms;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    if (settings_open(p->settings->path, &problems, &now) == ERR_OK &&
        now->gateway.drain_timeout_ms > most) {
        most = now->gateway.drain_timeout_ms;
    }
    settings_close(&now);
    buf_fini(&problems);
    return most;
}

static void on_stop(struct parent *p, int number)
{
    if (p->stopping && p->child != 0) {
        (void)kill(p->child, SIGKILL); /* asked twice */
        return;
    }
    p->stopping = true;
    log_info("stopping", "signal %d: calls in flight may finish", number);
    if (p->child != 0) {
        (void)kill(p->child, SIGTERM); /* it may be dead already: reap() sees that */
        p->kill_at = clock_after_ms(clock_mono(), drain_timeout_ms(p) + KILL_GRACE_MS);
    }
}

static void on_signals(struct parent *p)
{
    struct signalfd_siginfo info;
    while (read(p->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        int number = (int)info.ssi_signo;
        if (number == SIGCHLD) {
            reap(p);
        } else if (number == SIGTERM || number == SIGINT) {
            on_stop(p, number);
        } else {
            if (number == SIGUSR1 && log_reopen() != ERR_OK) {
                log_error("log_reopen",
                          "the log file cannot be opened anew: %s; lines go on to the old one",
                          strerrordesc_np(errno));
            }
            if (p->child != 0) {
                (void)kill(p->child, number); /* as above */
            }
        }
    }
}

static int wait_ms(const struct parent *p, mono_us now)
{
    mono_us until = p->child == 0 ? p->start_at : p->kill_at;
    if (p->child != 0 && until.us == 0) {
        return -1;
    }
    int64_t us = clock_since(now, until);
    return us <= 0 ? 0 : (int)((us + 999) / 1000);
}

/* Runs until it was told to stop and the child is gone. */
static void supervise(struct parent *p)
{
    p->start_at = clock_mono();
    while (!p->stopping || p->child != 0) {
        struct pollfd fds[2] = {{p->signals, POLLIN, 0}, {p->ready_read, POLLIN, 0}};
        (void)poll(fds, 2, wait_ms(p, clock_mono())); /* an interruption is looked into below */
        on_signals(p);
        if (p->ready_read >= 0 && fds[1].revents != 0) {
            on_ready(p);
        }
        mono_us now = clock_mono();
        if (p->child == 0 && !p->stopping && clock_since(p->start_at, now) >= 0 &&
            start_child(p) != ERR_OK) {
            log_error("gateway_start", "the gateway cannot be started: %s", strerrordesc_np(errno));
            p->start_at = clock_after_ms(now, WAIT_MOST_MS);
        }
        if (p->child != 0 && p->kill_at.us != 0 && clock_since(p->kill_at, now) >= 0) {
            log_warn("gateway_killed", "the gateway did not end in time and is killed");
            (void)kill(p->child, SIGKILL); /* as above */
            p->kill_at = (mono_us){0};
        }
    }
}

static enum err take_signals(struct parent *p)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGUSR1);
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal */
    if (sigprocmask(SIG_BLOCK, &mask, &p->old_mask) != 0) {
        return ERR_NET;
    }
    p->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    return p->signals < 0 ? ERR_NET : ERR_OK;
}

/* As many descriptors as the system lets us have: two a stream are needed. */
static void raise_limits(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* `atlas doctor` says when it is low */
    }
}

static enum err open_log(const struct settings *settings)
{
    log_setup(settings->log.level, settings->log.format == SETTINGS_LOG_JSON);
    return settings->log.file == NULL ? ERR_OK : log_open(settings->log.file);
}

static int run_parent(struct parent *p)
{
    raise_limits();
    enum err e = open_log(p->settings);
    if (e != ERR_OK) {
        fprintf(stderr, "atlas: the log file %s cannot be opened: %s\n", p->settings->log.file,
                strerrordesc_np(errno));
        return CLI_FAILED;
    }
    e = take_signals(p);
    if (e == ERR_OK) {
        int lock = -1;
        e = lock_data(p, &lock);
        if (e == ERR_OK) {
            e = serve_open_listeners(p->settings, &p->inherited);
        }
        p->inherited.lock_fd = lock;
    }
    if (e != ERR_OK) {
        return CLI_FAILED;
    }
    write_pid(p);
    look_at_folder(p->settings->data);
    supervise(p);
    if (p->settings->pid_file != NULL) {
        (void)unlink(p->settings->pid_file); /* somebody may have removed it */
    }
    serve_close_listeners(&p->inherited);
    if (p->failed) {
        return CLI_FAILED;
    }
    log_info("stopped", "good bye");
    return CLI_DONE;
}

int main_serve(int argc, char **argv)
{
    const char *config = CLI_CONFIG_DEFAULT;
    const struct cli_option options[] = {
        {"config", "F", "The configuration; " CLI_CONFIG_DEFAULT " if not given", .text = &config},
    };
    int status = cli_options(argc, argv, "atlas serve [--config F]", options, 1);
    if (status != CLI_GO_ON) {
        return status;
    }
    if (getenv(SERVE_INHERITED_ENV) != NULL) { /* no other thread runs yet */
        return serve_child(config);
    }
    char *child_argv[] = {(char *)(uintptr_t) "atlas", (char *)(uintptr_t) "serve",
                          (char *)(uintptr_t) "--config", (char *)(uintptr_t)config, NULL};
    struct parent p = {.config_path = config, .argv = child_argv, .signals = -1, .ready_read = -1};
    struct buf problems;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open(config, &problems, &p.settings);
    if (e != ERR_OK) {
        fprintf(stderr, "%.*s", SPAN_ARGS(buf_span(&problems)));
        fprintf(stderr, "atlas: %s: %s\n", config, err_sentence(e));
    }
    buf_fini(&problems);
    status = e == ERR_OK ? run_parent(&p) : CLI_FAILED;
    settings_close(&p.settings);
    return status;
}
