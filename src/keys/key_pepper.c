/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file is text, a line a pepper, oldest first:
 *
 *     pepper 1 <44 characters of Base64> <CRC-32 of all before it on the line, in hexadecimal>
 */
#include "keys/key_pepper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/base64.h"
#include "crypto/crc.h"
#include "crypto/random.h"

#define START        "pepper "
#define BASE64_CHARS 44
#define LINE_BYTES   72 /* "pepper 255 ", Base64, a space, eight digits, a line end; with room */
#define FILE_MAX     (LINE_BYTES * KEY_PEPPERS_MAX)

static enum err line_write(uint8_t version, const uint8_t pepper[KEY_PEPPER_BYTES],
                           char line[LINE_BYTES], size_t *len)
{
    int start = snprintf(line, LINE_BYTES, START "%d ", version);
    char *at = line + start;
    at += crypto_base64_write(span_make(pepper, KEY_PEPPER_BYTES), at);
    uint32_t crc = crypto_crc32(0, span_make(line, (size_t)(at - line)));
    at += snprintf(at, LINE_BYTES - (size_t)(at - line), " %08x\n", crc);
    *len = (size_t)(at - line);
    return ERR_OK;
}

static enum err disk_error(void)
{
    return errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_DISK;
}

/* Writes all of `text` and waits for the disk; its name is another matter. */
static enum err write_through(int fd, struct span text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.at, text.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return disk_error();
        }
        text = span_cut(text, (size_t)n, text.len);
    }
    return fsync(fd) == 0 ? ERR_OK : disk_error();
}

enum err key_pepper_make(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        if (errno == EEXIST) {
            return ERR_EXISTS;
        }
        return errno == ENOSPC ? ERR_DISK_FULL : ERR_FILE;
    }
    uint8_t pepper[KEY_PEPPER_BYTES];
    char line[LINE_BYTES];
    size_t len = 0;
    crypto_random(pepper, sizeof(pepper));
    enum err e = line_write(1, pepper, line, &len);
    if (e == ERR_OK) {
        e = write_through(fd, span_make(line, len));
    }
    crypto_wipe(pepper, sizeof(pepper));
    crypto_wipe(line, sizeof(line));
    if (close(fd) != 0 && e == ERR_OK) {
        e = disk_error();
    }
    if (e == ERR_OK) {
        e = file_sync_name(path);
    }
    if (e != ERR_OK) {
        (void)unlink(path); /* the first failure is what the caller must hear of */
    }
    return e;
}

/* Reads a line without its end: "pepper 1 … crc". */
static enum err line_parse(struct span line, struct key_peppers *out)
{
    struct span start = SPAN(START);
    uint64_t version;
    if (!span_starts(line, start)) {
        return ERR_PEPPER;
    }
    size_t space = span_find(line, ' ', start.len);
    if (!span_to_u64(span_cut(line, start.len, space - start.len), 255, &version) || version == 0 ||
        line.len != space + 1 + BASE64_CHARS + 9 || out->count == KEY_PEPPERS_MAX ||
        (out->count > 0 && version <= out->row[out->count - 1].version)) {
        return ERR_PEPPER;
    }
    struct span before_crc = span_cut(line, 0, space + 1 + BASE64_CHARS);
    char crc[10];
    (void)snprintf(crc, sizeof(crc), " %08x", crypto_crc32(0, before_crc)); /* always nine */
    uint8_t pepper[KEY_PEPPER_BYTES];
    size_t len;
    if (!span_is(span_cut(line, before_crc.len, 9), crc) ||
        crypto_base64_parse(span_cut(before_crc, space + 1, BASE64_CHARS), pepper, sizeof(pepper),
                            &len) != ERR_OK ||
        len != sizeof(pepper)) {
        return ERR_PEPPER;
    }
    out->row[out->count].version = (uint8_t)version;
    crypto_hmac_key_init(&out->row[out->count].hmac, span_make(pepper, sizeof(pepper)));
    out->count++;
    crypto_wipe(pepper, sizeof(pepper));
    return ERR_OK;
}

static enum err file_parse(struct span file, struct key_peppers *out)
{
    enum err e = file.len == 0 ? ERR_PEPPER : ERR_OK;
    while (e == ERR_OK && file.len > 0) {
        size_t end = span_find(file, '\n', 0);
        e = end == file.len ? ERR_PEPPER : line_parse(span_cut(file, 0, end), out);
        file = span_cut(file, end + 1, file.len);
    }
    return e;
}

/* Whether nobody but its owner can read or write it, who is this user unless we are root. */
static enum err check_private(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return ERR_FILE;
    }
    bool is_private = S_ISREG(st.st_mode) && (st.st_mode & 077) == 0 &&
                      (st.st_uid == geteuid() || geteuid() == 0);
    return is_private ? ERR_OK : ERR_PEPPER_OPEN;
}

/* Only what is not there is worth a search for its backup. */
static enum err open_error(int number)
{
    if (number == ENOENT || number == ENOTDIR) {
        return ERR_PEPPER;
    }
    return number == EACCES || number == ELOOP ? ERR_PEPPER_OPEN : ERR_FILE;
}

/* Reads the file to its end, or until `text` is full. */
static enum err read_all(int fd, char text[FILE_MAX + 1], size_t *len)
{
    ssize_t got = 1;
    *len = 0;
    while (got != 0 && *len < FILE_MAX + 1) {
        got = read(fd, text + *len, FILE_MAX + 1 - *len);
        if (got < 0 && errno != EINTR) {
            return ERR_DISK;
        }
        *len += got > 0 ? (size_t)got : 0;
    }
    return ERR_OK;
}

/* Reads the file's text. */
static enum err read_file(const char *path, char text[FILE_MAX + 1], size_t *len)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK); /* it may be a pipe */
    if (fd < 0) {
        return open_error(errno);
    }
    enum err e = check_private(fd);
    if (e == ERR_OK) {
        e = read_all(fd, text, len);
    }
    (void)close(fd); /* it was only read */
    return e == ERR_OK && *len > FILE_MAX ? ERR_PEPPER : e;
}

/* A file's text and what it says. */
struct pepper_file {
    char text[FILE_MAX + 1];
    size_t len;
    struct key_peppers peppers;
};

static enum err file_read(const char *path, struct pepper_file *f)
{
    *f = (struct pepper_file){.len = 0};
    enum err e = read_file(path, f->text, &f->len);
    return e == ERR_OK ? file_parse(span_make(f->text, f->len), &f->peppers) : e;
}

enum err key_peppers_read(const char *path, struct key_peppers *out)
{
    struct pepper_file f;
    enum err e = file_read(path, &f);
    if (e == ERR_OK) {
        *out = f.peppers;
    }
    crypto_wipe(&f, sizeof(f));
    return e;
}

/* ---- changing the file ---- */

/* A new file of the old one's owner, private to it. */
static enum err write_beside(const char *path, const char *beside, struct span text)
{
    struct stat old;
    (void)unlink(beside); /* of a try that was cut short */
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno == ENOSPC ? ERR_DISK_FULL : ERR_FILE;
    }
    bool is_owned = stat(path, &old) == 0 &&
                    (old.st_uid == geteuid() || fchown(fd, old.st_uid, old.st_gid) == 0);
    enum err e = is_owned ? write_through(fd, text) : ERR_FILE;
    if (close(fd) != 0 && e == ERR_OK) {
        e = disk_error();
    }
    return e;
}

/* Puts a new file in the place of the old one. */
static enum err replace(const char *path, struct span text)
{
    char beside[PATH_MAX];
    int len = snprintf(beside, sizeof(beside), "%s.new", path);
    if (len < 0 || len >= (int)sizeof(beside)) {
        return ERR_FILE;
    }
    enum err e = write_beside(path, beside, text);
    if (e == ERR_OK && rename(beside, path) != 0) {
        e = errno == ENOSPC ? ERR_DISK_FULL : ERR_FILE;
    }
    if (e != ERR_OK) {
        (void)unlink(beside); /* the first failure is what the caller must hear of */
        return e;
    }
    return file_sync_name(path);
}

static enum err add(const char *path, struct pepper_file *f, uint8_t *version)
{
    uint8_t pepper[KEY_PEPPER_BYTES];
    size_t len = 0;
    uint8_t newest = f->peppers.row[f->peppers.count - 1].version;
    if (f->peppers.count == KEY_PEPPERS_MAX || newest == UINT8_MAX) {
        return ERR_EXISTS;
    }
    char line[LINE_BYTES];
    crypto_random(pepper, sizeof(pepper));
    enum err e = line_write((uint8_t)(newest + 1), pepper, line, &len);
    if (e == ERR_OK) {
        memcpy(f->text + f->len, line, len); /* FILE_MAX has room for all that may be */
        e = replace(path, span_make(f->text, f->len + len));
    }
    crypto_wipe(pepper, sizeof(pepper));
    crypto_wipe(line, sizeof(line));
    *version = (uint8_t)(newest + 1);
    return e;
}

enum err key_pepper_add(const char *path, uint8_t *version)
{
    struct pepper_file f;
    enum err e = file_read(path, &f);
    if (e == ERR_OK) {
        e = add(path, &f, version);
    }
    crypto_wipe(&f, sizeof(f));
    return e;
}

/* Takes the line of the pepper in row `row` out of the text. */
static void cut_line(struct pepper_file *f, size_t row)
{
    struct span text = span_make(f->text, f->len);
    size_t start = 0;
    for (size_t i = 0; i < row; i++) {
        start = span_find(text, '\n', start) + 1;
    }
    size_t end = span_find(text, '\n', start) + 1;
    for (size_t at = end; at < f->len; at++) { /* a few hundred bytes at most */
        f->text[start + at - end] = f->text[at];
    }
    f->len -= end - start;
}

enum err key_pepper_remove(const char *path, uint8_t version)
{
    struct pepper_file f;
    size_t row = 0;
    enum err e = file_read(path, &f);
    while (e == ERR_OK && row < f.peppers.count && f.peppers.row[row].version != version) {
        row++;
    }
    if (e == ERR_OK && row == f.peppers.count) {
        e = ERR_NOT_FOUND_ROW;
    } else if (e == ERR_OK && row + 1 == f.peppers.count) {
        e = ERR_VALUE_INVALID;
    }
    if (e == ERR_OK) {
        cut_line(&f, row);
        e = replace(path, span_make(f.text, f.len));
    }
    crypto_wipe(&f, sizeof(f));
    return e;
}

const struct crypto_hmac_key *key_pepper_find(const struct key_peppers *p, uint8_t version)
{
    for (size_t i = p->count; i > 0; i--) {
        if (p->row[i - 1].version == version) {
            return &p->row[i - 1].hmac;
        }
    }
    return NULL;
}
