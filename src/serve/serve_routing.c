/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of rules is looked at every second: what changed is read when it has stood still for
 * two looks, so that a file that is being written is not read in the middle.
 */
#include <sys/stat.h>

#include "serve/serve_internal.h"

#define LOOK_US 500000

/* What tells one version of a file from another. All zero: it is not there. */
static struct serve_seen look(const char *path)
{
    struct stat s;
    if (path == NULL || stat(path, &s) != 0) {
        return (struct serve_seen){0};
    }
    return (struct serve_seen){.inode = (uint64_t)s.st_ino,
                               .bytes = (int64_t)s.st_size,
                               .changed_s = s.st_ctim.tv_sec,
                               .changed_ns = s.st_ctim.tv_nsec};
}

static bool is_same(const struct serve_seen *a, const struct serve_seen *b)
{
    return a->inode == b->inode && a->bytes == b->bytes && a->changed_s == b->changed_s &&
           a->changed_ns == b->changed_ns;
}

void serve_routing_note(struct serve_gateway *g)
{
    g->rules_read = g->rules_seen = look(g->settings->routing_file);
}

void serve_routing_step(struct serve_gateway *g, mono_us now)
{
    if (clock_since(g->rules_looked, now) < LOOK_US || g->reload != NULL || g->stopping) {
        return;
    }
    g->rules_looked = now;
    struct serve_seen seen = look(g->settings->routing_file);
    if (g->reload_error != ERR_OK && g->reload_error != ERR_CONFIG) {
        g->rules_read = (struct serve_seen){0}; /* the file was not to blame: once more */
    }
    bool is_still = is_same(&seen, &g->rules_seen);
    g->rules_seen = seen;
    if (is_still && !is_same(&seen, &g->rules_read)) {
        g->rules_read = seen; /* what is wrong with it is told once */
        log_info("routing_changed", "%s has changed", g->settings->routing_file);
        serve_reload_begin(g, "file", NULL);
    }
}
