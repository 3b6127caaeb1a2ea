/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas init`: a commented configuration where there is none, and the data folder. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli_data.h"
#include "main/commands.h"
#include "main/main_plans.h"
#include "settings/settings.h"
#include "settings/settings_write.h"

#define PAGE_BYTES_MAX (256u << 10)

static int say_file(const char *path, const char *what)
{
    fprintf(stderr, "atlas init: %s %s: %s\n", path, what, strerrordesc_np(errno));
    return CLI_FAILED;
}

/* Where the data folder goes by default: beside the configuration, as the file says it; for one in
 * /etc, where a system keeps such data. */
static const char *default_data(const char *config)
{
    return strncmp(config, "/etc/", 5) == 0 ? "/var/lib/atlas" : "./data";
}

static bool write_all(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t put = write(fd, bytes.at, bytes.len);
        if (put < 0 && errno != EINTR) {
            return false;
        }
        bytes = span_cut(bytes, put > 0 ? (size_t)put : 0, bytes.len);
    }
    return fsync(fd) == 0;
}

/* Writes the sample to `path` unless something is there. */
static int write_config(const char *path, const char *data)
{
    struct buf page;
    if (cli_make_parents(path) != ERR_OK) {
        return say_file(path, "cannot be written");
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0 && errno == EEXIST) {
        printf("%s is there already and stays as it is\n", path);
        return CLI_GO_ON;
    }
    if (fd < 0) {
        return say_file(path, "cannot be written");
    }
    buf_init(&page, PAGE_BYTES_MAX);
    settings_write_sample(data != NULL ? data : default_data(path), &page);
    bool ok = !buf_failed(&page) && write_all(fd, buf_span(&page));
    int status = ok ? CLI_GO_ON : say_file(path, "cannot be written");
    (void)close(fd); /* synced already */
    buf_fini(&page);
    if (ok) {
        printf("made %s\n", path);
    } else {
        (void)unlink(path); /* half a file helps nobody; that it cannot be written was said */
    }
    return status;
}

static int make_data(const char *config, const struct settings *settings)
{
    struct cli_data_made made;
    enum err e = cli_data_make(settings->data, &made);
    if (e != ERR_OK) {
        fprintf(stderr, "atlas init: %s: %s\n", settings->data, made.problem);
        return CLI_FAILED;
    }
    if (main_plans_make("init", config) != CLI_GO_ON) {
        return CLI_FAILED;
    }
    printf("%s the data folder %s\n",
           made.folder || made.pepper || made.store || made.deny ? "made" : "kept", settings->data);
    printf("\nnext:\n  edit %s: name your model servers under `upstreams:` and `models:`\n"
           "  atlas config check --config %s\n"
           "  atlas key create --config %s --name first\n"
           "  atlas serve --config %s\n",
           config, config, config, config);
    return CLI_DONE;
}

/* Whether a line of the configuration can hold it. */
static bool is_plain(const char *path)
{
    for (const char *at = path; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) {
            return false;
        }
    }
    return path[0] != '\0';
}

struct init_given {
    const char *config, *data;
};

const struct cli_option main_init_options[] = {
    CLI_CONFIG(struct init_given, config),
    CLI_TEXT(struct init_given, data, "data", "FOLDER",
             "The data folder that a new configuration names; if not given, ./data beside the "
             "file, or /var/lib/atlas for one in /etc",
             .words = CLI_FILES),
    CLI_END(NULL),
};

int main_init(const void *given)
{
    const struct init_given *g = given;
    const char *config = g->config, *data = g->data;
    int status = CLI_GO_ON;
    if (data != NULL && !is_plain(data)) {
        fprintf(stderr, "atlas init: --data takes a path without control characters\n");
        status = CLI_MISUSED;
    }
    if (status == CLI_GO_ON) {
        status = write_config(config, data);
    }
    if (status != CLI_GO_ON) {
        return status;
    }
    struct buf problems;
    struct settings *settings = NULL;
    buf_init(&problems, PAGE_BYTES_MAX);
    enum err e = settings_open(config, &problems, &settings);
    if (e != ERR_OK) {
        fprintf(stderr, "%.*s%s", SPAN_ARGS(buf_span(&problems)),
                e == ERR_CONFIG ? "" : "atlas init: out of memory\n");
    }
    status = e == ERR_OK ? make_data(config, settings) : CLI_FAILED;
    buf_fini(&problems);
    settings_close(&settings);
    return status;
}
