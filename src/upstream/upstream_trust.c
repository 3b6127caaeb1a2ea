/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file's mark is taken before it is read, so one that changes meanwhile is read again next time.
 * The system's authorities are a file and a folder, which update-ca-certificates and its like write
 * into: both are marked.
 */
#include "upstream/upstream_trust.h"

#include <string.h>
#include <sys/stat.h>

#include "base/map.h"
#include "base/memory.h"
#include "net/net_tls.h"
#include "upstream/deployment.h"

struct mark {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec written, changed;
};

struct entry {
    char *file;           /* "": the system's */
    struct mark marks[2]; /* of the file; of the system's file and folder */
    struct net_tls *tls;
};

struct upstream_trust {
    struct map by_file; /* to struct entry */
    size_t count;
    struct entry entries[];
};

static bool is_https(const struct upstream_definition *definition)
{
    return strncasecmp(definition->url, "https:", 6) == 0;
}

static const char *file_of(const struct upstream_definition *definition)
{
    return definition->ca_file == NULL ? "" : definition->ca_file;
}

static struct mark mark_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return (struct mark){0}; /* opening it says why */
    }
    return (struct mark){st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim};
}

static void take_marks(struct entry *e)
{
    if (e->file[0] != '\0') {
        e->marks[0] = mark_of(e->file);
        return;
    }
    e->marks[0] = mark_of(net_tls_system_file());
    e->marks[1] = mark_of(net_tls_system_folder());
}

static bool is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_same_mark(const struct mark *a, const struct mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           is_same_time(a->written, b->written) && is_same_time(a->changed, b->changed);
}

static bool is_unchanged(const struct entry *old, const struct entry *e)
{
    return is_same_mark(&old->marks[0], &e->marks[0]) && is_same_mark(&old->marks[1], &e->marks[1]);
}

static enum err add(struct upstream_trust *trust, const char *file,
                    const struct upstream_trust *previous, char *reason)
{
    struct entry *e = &trust->entries[trust->count];
    const struct entry *old = previous == NULL ? NULL : map_find(&previous->by_file, span_of(file));
    e->file = memory_text(file);
    if (e->file == NULL) {
        return ERR_NO_MEMORY;
    }
    trust->count++; /* closable from here on */
    take_marks(e);
    if (old != NULL && is_unchanged(old, e)) {
        e->tls = net_tls_ref(old->tls);
    } else {
        enum err failed = net_tls_open_client(file[0] == '\0' ? NULL : file, reason, &e->tls);
        if (failed != ERR_OK) {
            return failed;
        }
    }
    return map_put_borrow(&trust->by_file, span_of(e->file), e);
}

enum err upstream_trust_open(const struct upstream_settings *settings,
                             const struct upstream_trust *previous, char *reason,
                             struct upstream_trust **out)
{
    reason[0] = '\0';
    struct upstream_trust *trust =
        memory_new(sizeof(*trust) + settings->definitions_count * sizeof(trust->entries[0]));
    if (trust == NULL) {
        return ERR_NO_MEMORY;
    }
    map_init(&trust->by_file);
    for (size_t i = 0; i < settings->definitions_count; i++) {
        const struct upstream_definition *definition = &settings->definitions[i];
        if (!is_https(definition) ||
            map_find(&trust->by_file, span_of(file_of(definition))) != NULL) {
            continue;
        }
        enum err e = add(trust, file_of(definition), previous, reason);
        if (e != ERR_OK) {
            upstream_trust_close(&trust);
            return e;
        }
    }
    *out = trust;
    return ERR_OK;
}

struct net_tls *upstream_trust_find(const struct upstream_trust *trust,
                                    const struct upstream_definition *definition)
{
    if (!is_https(definition)) {
        return NULL;
    }
    const struct entry *e = map_find(&trust->by_file, span_of(file_of(definition)));
    return e == NULL ? NULL : e->tls;
}

void upstream_trust_close(struct upstream_trust **trust)
{
    struct upstream_trust *t = *trust;
    *trust = NULL;
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        net_tls_unref(&t->entries[i].tls);
        memory_free(t->entries[i].file);
    }
    map_fini(&t->by_file);
    memory_free(t);
}

enum err upstream_trust_open_alone(const struct upstream_definition *definition, char *reason,
                                   struct deployment **out)
{
    struct upstream_trust *trust = NULL;
    enum err e =
        upstream_trust_open(&(struct upstream_settings){definition, 1}, NULL, reason, &trust);
    if (e == ERR_OK) {
        e = deployment_open(definition, upstream_trust_find(trust, definition), reason, out);
    }
    upstream_trust_close(&trust); /* the deployment holds its own */
    return e;
}
