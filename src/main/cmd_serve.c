/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `atlas serve`: the parent. It does so little that it does not fail: it opens listeners, starts
 * the child, passes signals on, and starts the child again when it dies. While there is no child,
 * connections wait in the listeners' backlog.
 *
 * A child that served is started again at once. One that dies before it serves, or that has died
 * often lately, waits longer each time. Where the very first one says that it cannot serve, there
 * is nothing to keep alive: the parent ends too, and whoever started it hears of it.
 *
 * One that stands still is killed, and started again like one that died. What the parent knows of
 * that it hears (serve_word): of a worker from the housekeeping thread, of that thread by silence.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "main/commands.h"
#include "main/main_folder.h"
#include "main/main_stopped.h"
#include "serve/serve.h"

#define PROBLEMS_BYTES_MAX (128u << 10)
#define QUICK_DEATHS_MAX   10 /* within QUICK_MS: then it waits, too */
#define QUICK_MS           10000
#define WAIT_FIRST_MS      100
#define WAIT_MOST_MS       10000
#define KILL_GRACE_MS      5000          /* beyond the drain timeout */
#define LISTEN_MOST_MS     SERVE_BEAT_MS /* that one turn of our loop may add to a silence */
#define SILENCES           3 /* worker_still_max so often: the child's main thread may be slower */
#define STOPPED_MOST       2 /* and that so often, of one that was stopped by a signal */

struct parent {
    const char *config_path;
    char **argv;
    struct settings *settings;
    struct serve_inherited inherited;
    int life;    /* the end of a pipe that is open for as long as this process lives */
    int signals; /* signalfd */
    sigset_t old_mask;
    pid_t child; /* 0: none runs */
    int hears;   /* what the child says; -1: nothing more */
    bool child_served;
    mono_us listened;     /* until when */
    int64_t silent_us;    /* how long it has said nothing, as far as we listened */
    int silences_stopped; /* too long ones since it was heard, all its threads being stopped */
    bool ever_served;     /* a child did */
    bool stopping;
    bool killing; /* SIGKILL is on its way to the child */
    bool failed;  /* the first child could not serve, or the last one did not end as it should */
    mono_us deaths[QUICK_DEATHS_MAX];
    unsigned death_count, wait_count;
    mono_us start_at; /* of the next child */
    mono_us kill_at;  /* us 0: not set */
};

static void write_pid(const struct parent *p)
{
    if (p->settings->pid_file == NULL) {
        return;
    }
    /* Without O_NONBLOCK a pipe by that name would keep us here until somebody reads it. */
    int fd = open(p->settings->pid_file,
                  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0644);
    if (fd < 0 || dprintf(fd, "%d\n", getpid()) < 0) {
        log_warn("pid_file", "%s cannot be written: %s", p->settings->pid_file,
                 strerrordesc_np(errno));
    }
    if (fd >= 0) {
        (void)close(fd); /* a number that is lost harms nobody */
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
static _Noreturn void become_child(const struct parent *p, int says)
{
    for (int i = 0; i < p->inherited.listeners * p->inherited.workers; i++) {
        keep_open(p->inherited.fds[i]);
    }
    keep_open(p->inherited.admin_fd);
    keep_open(p->inherited.socket_fd);
    keep_open(p->inherited.lock_fd);
    keep_open(p->inherited.life_fd);
    keep_open(says);
    sigset_t mask = p->old_mask;
    (void)sigaddset(&mask, SIGHUP);              /* these two wait until it serves: before it */
    (void)sigaddset(&mask, SIGUSR1);             /* has its own handlers they would end it */
    (void)sigprocmask(SIG_SETMASK, &mask, NULL); /* cannot fail with a mask of ours */
    (void)execv("/proc/self/exe", p->argv);      /* returns only on failure */
    _exit(CLI_FAILED);
}

static enum err start_child(struct parent *p)
{
    int says[2];
    if (pipe2(says, O_CLOEXEC | O_NONBLOCK) != 0) {
        return ERR_NET;
    }
    p->inherited.says_fd = says[1];
    p->inherited.again = p->ever_served;
    enum err e = serve_export(&p->inherited);
    if (e != ERR_OK) {
        (void)close(says[0]); /* unused */
        (void)close(says[1]); /* unused */
        return e;
    }
    pid_t child = fork();
    if (child == 0) {
        become_child(p, says[1]);
    }
    (void)close(says[1]);                /* the child has its own */
    (void)unsetenv(SERVE_INHERITED_ENV); /* no other thread runs */
    if (child < 0) {
        (void)close(says[0]); /* unused */
        return ERR_NO_MEMORY;
    }
    p->child = child;
    p->hears = says[0];
    p->child_served = p->killing = false;
    p->silent_us = 0;
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

static void kill_child(struct parent *p)
{
    p->killing = true;
    (void)kill(p->child, SIGKILL); /* it may be dead already: reap() sees that */
}

/* What is told of one that is dead already changes nothing. */
static void kill_still(struct parent *p, const char *who)
{
    if (p->child != 0 && !p->stopping && !p->killing) {
        log_error("gateway_still",
                  "%s has stood still for too long (worker_still_max): it is killed", who);
        kill_child(p);
    }
}

static void hear_word(struct parent *p, char word)
{
    if (word == SERVE_READY) {
        p->child_served = p->ever_served = true;
        log_echo(false);
        p->wait_count = 0;
    } else if (word == SERVE_STILL) {
        kill_still(p, "a worker of the gateway");
    }
}

static void hear(struct parent *p)
{
    char words[64];
    ssize_t n;
    while ((n = read(p->hears, words, sizeof(words))) > 0) {
        p->silent_us = 0;
        p->silences_stopped = 0;
        for (ssize_t i = 0; i < n; i++) {
            hear_word(p, words[i]);
        }
    }
    if (n == 0) {              /* it has ended */
        (void)close(p->hears); /* read only */
        p->hears = -1;
    }
}

/* Silence counts as far as we listened: we may have been stopped ourselves. */
static void judge_silence(struct parent *p, mono_us now)
{
    int64_t passed_us = clock_since(p->listened, now);
    int64_t still_us = p->settings->gateway.worker_still_max_ms * 1000;
    p->listened = now;
    if (p->child == 0 || !p->child_served || still_us == 0) {
        p->silent_us = 0;
        return;
    }
    p->silent_us += passed_us < LISTEN_MOST_MS * 1000 ? passed_us : LISTEN_MOST_MS * 1000;
    if (p->silent_us < still_us * SILENCES) {
        return;
    }
    p->silent_us = 0; /* one that goes on has as long again to say so */
    enum main_stop stop = main_stop_of(p->child);
    p->silences_stopped += stop == MAIN_STOPPED;
    if (stop == MAIN_RUNS || p->silences_stopped == STOPPED_MOST) {
        p->silences_stopped = 0;
        kill_still(p, "the gateway as a whole");
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

/* One that crashes while it drains cuts its calls: whoever stops it is to hear of it. One that does
 * not serve yet ends by the signal itself, which is what was asked for. */
static void judge_end(struct parent *p, int status)
{
    if (!p->child_served || p->killing || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        return;
    }
    p->failed = true;
    log_error("gateway_died",
              "the gateway was ended by %s %d while it stopped: calls in flight were cut; the next "
              "start recovers their records",
              WIFSIGNALED(status) ? "signal" : "its own status",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void on_child_dead(struct parent *p, int status)
{
    p->child = 0;
    if (p->hears >= 0) {
        hear(p); /* it may have served for less than a turn of our loop */
    }
    if (p->hears >= 0) {
        (void)close(p->hears); /* read only */
        p->hears = -1;
    }
    if (p->stopping) {
        judge_end(p, status);
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

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t drain_ms(const struct settings *settings)
{
    return longer(settings->gateway.drain_timeout_ms, settings->gateway.drain_notice_ms);
}

/* The longest that the child may take to drain: it knows what reloads have changed. */
static int64_t longest_drain_ms(const struct parent *p)
{
    struct settings *now = NULL;
    struct buf problems;
    int64_t most = drain_ms(p->settings);
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    if (settings_open(p->settings->path, &problems, &now) == ERR_OK) {
        most = longer(most, drain_ms(now));
    }
    settings_close(&now);
    buf_fini(&problems);
    return most;
}

static void on_stop(struct parent *p, int number)
{
    if (p->stopping && p->child != 0) {
        kill_child(p); /* asked twice */
        return;
    }
    p->stopping = true;
    serve_close_listeners(
        &p->inherited); /* the child's are the last: nobody waits where no one accepts */
    log_info("stopping", "signal %d: calls in flight may finish", number);
    if (p->child != 0) {
        (void)kill(p->child, number); /* it may be dead already: reap() sees that */
        p->kill_at = clock_after_ms(clock_mono(), longest_drain_ms(p) + KILL_GRACE_MS);
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
            if (number == SIGUSR1) {
                log_reopen();
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
        return p->child_served ? SERVE_BEAT_MS : -1;
    }
    int64_t us = clock_since(now, until);
    return us <= 0 ? 0 : (int)((us + 999) / 1000);
}

/* Runs until it was told to stop and the child is gone. */
static void supervise(struct parent *p)
{
    p->start_at = clock_mono();
    while (!p->stopping || p->child != 0) {
        struct pollfd fds[2] = {{p->signals, POLLIN, 0}, {p->hears, POLLIN, 0}};
        (void)poll(fds, 2, wait_ms(p, clock_mono())); /* an interruption is looked into below */
        on_signals(p);
        if (p->hears >= 0 && fds[1].revents != 0) {
            hear(p);
        }
        mono_us now = clock_mono();
        judge_silence(p, now);
        if (p->child == 0 && !p->stopping && clock_since(p->start_at, now) >= 0 &&
            start_child(p) != ERR_OK) {
            log_error("gateway_start", "the gateway cannot be started: %s", strerrordesc_np(errno));
            p->start_at = clock_after_ms(now, WAIT_MOST_MS);
        }
        if (p->child != 0 && p->kill_at.us != 0 && clock_since(p->kill_at, now) >= 0) {
            log_warn("gateway_killed", "the gateway did not end in time and is killed");
            kill_child(p);
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
    log_echo(settings->log.file != NULL);
    return settings->log.file == NULL ? ERR_OK : log_open(settings->log.file);
}

/* What the child sees our end by. */
static MUST_USE enum err begin_life(struct parent *p)
{
    int life[2];
    if (pipe2(life, O_CLOEXEC) != 0) {
        return ERR_NET;
    }
    p->inherited.life_fd = life[0];
    p->life = life[1];
    return ERR_OK;
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
        e = main_folder_lock(p->settings->data, p->config_path, &lock);
        if (e == ERR_OK) {
            e = serve_open_listeners(p->settings, &p->inherited);
        }
        p->inherited.lock_fd = lock;
        if (e == ERR_OK) {
            e = begin_life(p);
        }
    }
    if (e != ERR_OK) {
        return CLI_FAILED;
    }
    write_pid(p);
    main_folder_look(p->settings->data);
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

const struct cli_option main_serve_options[] = {
    CLI_CONFIG(struct cli_given_config, config),
    CLI_END(NULL),
};

int main_serve(const void *given)
{
    const char *config = ((const struct cli_given_config *)given)->config;
    if (getenv(SERVE_INHERITED_ENV) != NULL) { /* no other thread runs yet */
        return serve_child(config);
    }
    char *child_argv[] = {(char *)(uintptr_t) "atlas", (char *)(uintptr_t) "serve",
                          (char *)(uintptr_t) "--config", (char *)(uintptr_t)config, NULL};
    struct parent p = {.config_path = config, .argv = child_argv, .signals = -1, .hears = -1};
    struct buf problems;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open(config, &problems, &p.settings);
    if (e != ERR_OK) {
        fprintf(stderr, "%.*s", SPAN_ARGS(buf_span(&problems)));
        fprintf(stderr, "atlas: %s: %s\n", config, err_sentence(e));
    }
    buf_fini(&problems);
    int status = e == ERR_OK ? run_parent(&p) : CLI_FAILED;
    settings_close(&p.settings);
    return status;
}
