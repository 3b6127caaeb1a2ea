/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `atlas serve`: the child. What belongs to the process is here (what it inherits, its log, its
 * exit); what serves is in serve_gateway.c.
 */
#include <errno.h>
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

static void say_ready(int fd)
{
    (void)!write(fd, "r", 1); /* without a reader the parent is gone, and so are we */
    (void)close(fd);          /* said */
}

static enum err open_log(const struct settings *settings)
{
    log_setup(settings->log.level, settings->log.format == SETTINGS_LOG_JSON);
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
    (void)unsetenv(SERVE_INHERITED_ENV); /* no other thread runs */
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
    say_ready(in.ready_fd);
    if (serve_gateway_run(g) == ERR_DISK) {
        _exit(SERVE_FAILED); /* as it is: what is in the lanes is read by the next one */
    }
    serve_gateway_close(&g);
    return SERVE_DONE;
}
