/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `atlas serve`: the child. What belongs to the process is here (what it inherits, its log, its
 * exit); what serves is in serve_gateway.c.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/counter.h"
#include "base/memory.h"
#include "serve/serve_internal.h"

/* From here on: what the parent passed on meanwhile comes first. */
static void hear_signals(void)
{
    sigset_t both;
    (void)sigemptyset(&both); /* none of these fails with valid arguments */
    (void)sigaddset(&both, SIGHUP);
    (void)sigaddset(&both, SIGUSR1);
    (void)sigprocmask(SIG_UNBLOCK, &both, NULL);
}

static void *await_the_parents_end(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char byte;
    while (read(fd, &byte, 1) < 0 && errno == EINTR) {
    }
    _exit(SERVE_FAILED); /* as one that is killed: what is in the lanes is read by the next one */
}

/*
 * No parent, no child: a second gateway could not have the data folder. PR_SET_PDEATHSIG would not
 * do: the kernel forgets it when the program that is executed has file capabilities, which ports
 * below 1024 are given with. A thread of its own sees the end also when a loop stands still.
 */
static MUST_USE bool follow_the_parent(int fd)
{
    sigset_t all, before;
    pthread_t thread;
    (void)sigfillset(&all); /* signals are for the others; none of these fails */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool follows = pthread_create(&thread, NULL, await_the_parents_end, (void *)(intptr_t)fd) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (follows) {
        (void)pthread_detach(thread); /* it ends with the process */
    }
    return follows;
}

static enum err open_log(const struct settings *settings)
{
    log_setup(settings->log.level, settings->log.format == SETTINGS_LOG_JSON);
    log_echo(settings->log.file != NULL); /* until it serves */
    if (settings->log.file != NULL && log_open(settings->log.file) != ERR_OK) {
        log_error("log", "%s cannot be opened: %s", settings->log.file, strerrordesc_np(errno));
        return ERR_FILE;
    }
    return ERR_OK;
}

int serve_child(const char *config_path)
{
    struct serve_inherited in;
    struct serve_gateway *g;
    memory_forbid_core(true);
    memory_keep_large_apart();
    (void)prctl(PR_SET_NAME, "atlas-gateway", 0, 0, 0); /* only a name: else it is "exe" */
    (void)signal(SIGPIPE, SIG_IGN);                     /* cannot fail for this signal */
    enum err e = serve_import(&in);
    if (e == ERR_USAGE) {
        fprintf(stderr, "atlas: %s is for atlas itself; unset it\n", SERVE_INHERITED_ENV);
        return SERVE_MISUSED;
    }
    if (e != ERR_OK) {
        log_error("start", "the gateway cannot start: %s", err_sentence(e));
        return SERVE_FAILED;
    }
    (void)unsetenv(SERVE_INHERITED_ENV); /* no other thread runs yet */
    if (!follow_the_parent(in.life_fd)) {
        log_error("start", "the gateway cannot start: %s", err_sentence(ERR_NO_MEMORY));
        serve_close_listeners(&in);
        return SERVE_FAILED;
    }
    struct settings *settings = NULL;
    if (serve_settings_read(config_path, &settings) != ERR_OK || open_log(settings) != ERR_OK) {
        settings_close(&settings);
        serve_close_listeners(&in);
        return SERVE_FAILED;
    }
    if (in.place != 0 && in.place != serve_place(settings)) {
        log_error("restart_needed",
                  "%s: data, or the listeners and their TLS, are not what this gateway was started "
                  "with; put them back, or restart it",
                  config_path);
        settings_close(&settings);
        serve_close_listeners(&in);
        return SERVE_FAILED;
    }
    counter_thread_start();
    if (serve_gateway_open(config_path, &settings, &in, &g) != ERR_OK) {
        return SERVE_FAILED;
    }
    hear_signals();
    serve_say(g, SERVE_READY);
    log_echo(false);
    if (serve_gateway_run(g) == ERR_DISK) {
        _exit(SERVE_FAILED); /* as it is: what is in the lanes is read by the next one */
    }
    serve_gateway_close(&g);
    return SERVE_DONE;
}
