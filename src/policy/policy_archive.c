/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy_archive.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "crypto/random.h"
#include "policy/policy_digest.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define READ_BYTES 65536
#define ROWS_MAX   64
#define DEPTH_MAX  4
#define YOUNG      "next.tmp"

void policy_archive_hex(const uint8_t digest[CRYPTO_SHA256_BYTES], char out[POLICY_ARCHIVE_HEX])
{
    for (size_t i = 0; i < CRYPTO_SHA256_BYTES; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]); /* fits */
    }
}

/* ---- as JSON ---- */

static void put_text(struct json_writer *w, const char *name, struct span text)
{
    json_write_key(w, name);
    if (text.at == NULL) {
        json_write_null(w);
    } else {
        json_write_string(w, text);
    }
}

enum err policy_archive_write(const struct policy_settings *settings,
                              const struct upstream_settings *upstreams, struct buf *out,
                              uint8_t digest[CRYPTO_SHA256_BYTES])
{
    struct buf line;
    struct json_writer w;
    buf_init(&line, POLICY_DIGEST_TEXT_MAX);
    enum err e = policy_digest_text(settings, upstreams, &line);
    if (e == ERR_OK) {
        crypto_sha256(buf_span(&line), digest);
        json_write_init(&w, out);
        json_write_object(&w);
        put_text(&w, "models", settings->texts.models);
        put_text(&w, "policy", buf_span(&line));
        put_text(&w, "rules", settings->texts.rules);
        put_text(&w, "settings", settings->texts.settings);
        json_write_end(&w);
        e = json_write_finish(&w);
    }
    buf_fini(&line);
    return e;
}

static enum err take_text(const struct json_index *x, const char *name, struct arena *arena,
                          struct span *out)
{
    uint32_t row = json_find(x, 0, span_of(name));
    if (row == JSON_NONE || (json_kind(x, row) != JSON_STRING && json_kind(x, row) != JSON_NULL)) {
        return ERR_VALUE_INVALID;
    }
    *out = (struct span){NULL, 0};
    return json_kind(x, row) == JSON_NULL ? ERR_OK : json_text(x, row, arena, out);
}

/* Whether the texts are those of the digest: its line, and in that the digest of the rules. */
static bool is_proven(const struct policy_archived *a, const uint8_t digest[CRYPTO_SHA256_BYTES])
{
    struct json_index x;
    uint8_t found[CRYPTO_SHA256_BYTES];
    char hex[POLICY_ARCHIVE_HEX] = "";
    crypto_sha256(a->line, found);
    if (!crypto_equal(found, digest, sizeof(found))) {
        return false;
    }
    if (a->texts.rules.at != NULL) {
        crypto_sha256(a->texts.rules, found);
        policy_archive_hex(found, hex);
    }
    json_index_init(&x, UINT32_MAX / 64, DEPTH_MAX + 4);
    bool is_it = json_index_parse_borrow(&x, a->line) == ERR_OK;
    uint32_t routing = is_it ? json_find(&x, 0, SPAN("routing")) : JSON_NONE;
    is_it = routing != JSON_NONE && json_text_is(&x, routing, span_of(hex));
    json_index_fini(&x);
    return is_it;
}

static enum err read_all(struct span text, const uint8_t digest[CRYPTO_SHA256_BYTES],
                         struct arena *arena, struct policy_archived *out)
{
    struct json_index x;
    json_index_init(&x, ROWS_MAX, DEPTH_MAX);
    enum err e = json_index_parse_borrow(&x, text);
    e = e == ERR_OK && json_kind(&x, 0) != JSON_OBJECT ? ERR_VALUE_INVALID : e;
    e = e == ERR_OK ? take_text(&x, "policy", arena, &out->line) : e;
    e = e == ERR_OK ? take_text(&x, "settings", arena, &out->texts.settings) : e;
    e = e == ERR_OK ? take_text(&x, "models", arena, &out->texts.models) : e;
    e = e == ERR_OK ? take_text(&x, "rules", arena, &out->texts.rules) : e;
    json_index_fini(&x);
    if (e != ERR_OK) {
        return e == ERR_NO_MEMORY ? e : ERR_VALUE_INVALID;
    }
    return is_proven(out, digest) ? ERR_OK : ERR_VALUE_INVALID;
}

/* ---- as a file ---- */

static enum err of_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT   ? ERR_DISK_FULL
           : errno == EMFILE || errno == ENFILE ? ERR_NO_FILES
                                                : ERR_DISK;
}

/* False: the path is too long. */
static bool path_of(const char *data, const char *name, char out[PATH_MAX])
{
    int len = snprintf(out, PATH_MAX, "%s/" POLICY_ARCHIVE_FOLDER "/%s", data, name);
    return len > 0 && len < PATH_MAX;
}

static bool path_of_version(const char *data, const uint8_t digest[CRYPTO_SHA256_BYTES],
                            int64_t version, char out[PATH_MAX])
{
    char name[POLICY_ARCHIVE_HEX + 32], hex[POLICY_ARCHIVE_HEX];
    policy_archive_hex(digest, hex);
    (void)snprintf(name, sizeof(name), "%s.%lld.json", hex, (long long)version); /* fits */
    return path_of(data, name, out);
}

static enum err write_all(int fd, struct span text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.at, text.len);
        if (n < 0 && errno != EINTR) {
            return of_errno();
        }
        text = span_cut(text, n > 0 ? (size_t)n : 0, text.len);
    }
    return fsync(fd) == 0 ? ERR_OK : of_errno();
}

/* The folder's name is on the disk, too, when it was made. */
static enum err make_folder(const char *data)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/" POLICY_ARCHIVE_FOLDER, data);
    if (len < 0 || len >= PATH_MAX) {
        return ERR_DISK;
    }
    if (mkdir(path, S_IRWXU) == 0) {
        return file_sync_name(path);
    }
    return errno == EEXIST ? ERR_OK : of_errno();
}

enum err policy_archive_put(const char *data, const uint8_t digest[CRYPTO_SHA256_BYTES],
                            int64_t version, struct span text)
{
    char young[PATH_MAX], path[PATH_MAX];
    if (!path_of(data, YOUNG, young) || !path_of_version(data, digest, version, path)) {
        return ERR_DISK;
    }
    enum err e = make_folder(data);
    if (e != ERR_OK) {
        return e;
    }
    int fd = open(young, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (fd < 0) {
        return of_errno();
    }
    e = write_all(fd, text);
    e = close(fd) != 0 && e == ERR_OK ? of_errno() : e;
    e = e == ERR_OK && rename(young, path) != 0 ? of_errno() : e;
    if (e == ERR_OK) {
        e = file_sync_name(path);
        return e == ERR_FILE ? ERR_DISK : e;
    }
    (void)unlink(young); /* what is left of it is of no use */
    return e;
}

static enum err read_file(int fd, struct buf *out)
{
    ssize_t got = 1;
    while (got > 0) {
        uint8_t *at = buf_reserve(out, READ_BYTES);
        if (at == NULL) {
            return ERR_NO_MEMORY;
        }
        got = read(fd, at, READ_BYTES);
        buf_added(out, got > 0 ? (size_t)got : 0);
        got = got < 0 && errno == EINTR ? 1 : got;
    }
    return got < 0 ? ERR_DISK : ERR_OK;
}

enum err policy_archive_get(const char *data, const uint8_t digest[CRYPTO_SHA256_BYTES],
                            const uint8_t whole[CRYPTO_SHA256_BYTES], int64_t version,
                            struct arena *arena, struct policy_archived *out)
{
    uint8_t found[CRYPTO_SHA256_BYTES];
    char path[PATH_MAX];
    const char *why;
    int fd = -1;
    struct buf text;
    if (!path_of_version(data, digest, version, path)) {
        return ERR_DISK;
    }
    if (file_open(path, &fd, &why) != ERR_OK) {
        return errno == ENOENT ? ERR_NOT_FOUND_ROW : of_errno();
    }
    buf_init(&text, POLICY_ARCHIVE_BYTES_MAX);
    enum err e = read_file(fd, &text);
    (void)close(fd); /* only read from */
    crypto_sha256(buf_span(&text), found);
    e = e == ERR_OK && !crypto_equal(found, whole, sizeof(found)) ? ERR_VALUE_INVALID : e;
    e = e == ERR_OK ? read_all(buf_span(&text), digest, arena, out) : e;
    buf_fini(&text);
    return e;
}

void policy_archive_drop(const char *data, const uint8_t digest[CRYPTO_SHA256_BYTES],
                         int64_t version)
{
    char path[PATH_MAX];
    if (path_of_version(data, digest, version, path)) {
        (void)unlink(path); /* it may be gone; what is left of it is dropped by nobody */
    }
}
