/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record's payload begins with '{', a commit's with its magic, so no frame needs a kind. The CRC
 * covers the length too: a damaged length is found where it stands, not where it leads to.
 */
#include "journal/journal_frame.h"

#include "crypto/crc.h"

#define HEADER_MAGIC "ATLASJNL"
#define COMMIT_MAGIC \
    "\x01"           \
    "ATLASC\x02"
#define MAGIC_BYTES  8
#define VERSION      2
#define COMMIT_BYTES 64 /* of its payload, before the lanes */
#define LANE_BYTES   16
#define COMMIT_MAX   (COMMIT_BYTES + LANE_BYTES * JOURNAL_LANES_MAX)

static uint8_t *put(uint8_t *at, uint64_t number, size_t bytes)
{
    memcpy(at, &number, bytes); /* little-endian: journal_record_parse.c asserts it */
    return at + bytes;
}

static uint64_t get(struct span s, size_t at, size_t bytes)
{
    CHECK(at + bytes <= s.len);
    uint64_t number = 0;
    memcpy(&number, s.at + at, bytes);
    return number;
}

void journal_header_write(const struct journal_header *h, uint8_t out[JOURNAL_HEADER_BYTES])
{
    memset(out, 0, JOURNAL_HEADER_BYTES);
    memcpy(out, HEADER_MAGIC, MAGIC_BYTES);
    (void)put(out + 8, VERSION, 4);
    (void)put(out + 12, JOURNAL_HEADER_BYTES, 4);
    (void)put(out + 16, h->first_sequence, 8);
    (void)put(out + 24, (uint64_t)h->made_ms, 8);
    memcpy(out + 32, h->origin, sizeof(h->origin));
    memcpy(out + 64, h->head, sizeof(h->head));
    (void)put(out + JOURNAL_HEADER_BYTES - 4,
              crypto_crc32c(0, span_make(out, JOURNAL_HEADER_BYTES - 4)), 4);
}

enum err journal_header_parse(struct span bytes, struct journal_header *out)
{
    struct span s = span_cut(bytes, 0, JOURNAL_HEADER_BYTES);
    if (s.len >= 16 && memcmp(s.at, HEADER_MAGIC, MAGIC_BYTES) == 0 && get(s, 8, 4) < VERSION) {
        return ERR_JOURNAL_OLD;
    }
    if (s.len < JOURNAL_HEADER_BYTES || memcmp(s.at, HEADER_MAGIC, MAGIC_BYTES) != 0 ||
        get(s, 8, 4) != VERSION || get(s, 12, 4) != JOURNAL_HEADER_BYTES ||
        get(s, JOURNAL_HEADER_BYTES - 4, 4) !=
            crypto_crc32c(0, span_cut(s, 0, JOURNAL_HEADER_BYTES - 4))) {
        return ERR_JOURNAL_BROKEN;
    }
    out->first_sequence = get(s, 16, 8);
    out->made_ms = (int64_t)get(s, 24, 8);
    memcpy(out->origin, s.at + 32, sizeof(out->origin));
    memcpy(out->head, s.at + 64, sizeof(out->head));
    return ERR_OK;
}

static uint32_t frame_crc(const uint8_t *frame, size_t payload)
{
    uint32_t crc = crypto_crc32c(0, span_make(frame, 4));
    return crypto_crc32c(crc, span_make(frame + JOURNAL_FRAME_BYTES, payload));
}

/* Fills in the head of the frame whose payload is the last `payload` bytes of `out`. */
static void seal(struct buf *out, size_t payload)
{
    if (!buf_failed(out)) {
        uint8_t *frame = out->at + out->len - payload - JOURNAL_FRAME_BYTES;
        (void)put(frame, payload, 4);
        (void)put(frame + 4, frame_crc(frame, payload), 4);
    }
}

struct span journal_frame_write(const struct journal_record *r, struct span state, struct buf *out)
{
    static const uint8_t head[JOURNAL_FRAME_BYTES];
    buf_put(out, span_make(head, sizeof(head)));
    size_t before = out->len;
    journal_record_write(r, state, out);
    size_t line = out->len - before;
    CHECK(line <= JOURNAL_LINE_MAX);
    seal(out, line);
    return span_make(out->at + out->len - line, line);
}

void journal_commit_write(const struct journal_commit *c, size_t group_bytes, struct buf *out)
{
    CHECK(c->lanes <= JOURNAL_LANES_MAX);
    size_t payload = COMMIT_BYTES + LANE_BYTES * c->lanes;
    uint8_t *frame = buf_reserve(out, JOURNAL_FRAME_BYTES + payload);
    if (frame == NULL) {
        return;
    }
    uint8_t *at = frame + JOURNAL_FRAME_BYTES;
    memcpy(at, COMMIT_MAGIC, MAGIC_BYTES);
    at = put(at + MAGIC_BYTES, VERSION, 2);
    at = put(at, c->lanes, 2);
    at = put(at, c->records, 4);
    at = put(at, c->last_sequence, 8);
    at = put(at, group_bytes, 8);
    memcpy(at, c->head, sizeof(c->head));
    at += sizeof(c->head);
    for (size_t i = 0; i < c->lanes; i++) {
        at = put(at, c->lane[i].id, 8);
        at = put(at, c->lane[i].ticket, 8);
    }
    buf_added(out, (size_t)(at - frame));
    seal(out, payload);
}

enum frame { FRAME_RECORD, FRAME_COMMIT, FRAME_SHORT, FRAME_BAD };

/* The frame at the front of `bytes` and its payload. */
static enum frame look(struct span bytes, struct span *payload)
{
    if (bytes.len < JOURNAL_FRAME_BYTES) {
        return FRAME_SHORT;
    }
    size_t len = get(bytes, 0, 4);
    if (len < 2 || (len > COMMIT_MAX && len > JOURNAL_LINE_MAX)) {
        return FRAME_BAD;
    }
    if (bytes.len - JOURNAL_FRAME_BYTES < len) {
        return FRAME_SHORT;
    }
    *payload = span_cut(bytes, JOURNAL_FRAME_BYTES, len);
    if (get(bytes, 4, 4) != frame_crc(bytes.at, len)) {
        return FRAME_BAD;
    }
    if (payload->at[0] == '{') {
        return len <= JOURNAL_LINE_MAX ? FRAME_RECORD : FRAME_BAD;
    }
    bool commit = len >= COMMIT_BYTES && memcmp(payload->at, COMMIT_MAGIC, MAGIC_BYTES) == 0 &&
                  get(*payload, 8, 2) == VERSION &&
                  len == COMMIT_BYTES + LANE_BYTES * get(*payload, 10, 2);
    return commit ? FRAME_COMMIT : FRAME_BAD;
}

static void read_commit(struct span payload, struct journal_commit *out)
{
    out->lanes = get(payload, 10, 2);
    out->records = (uint32_t)get(payload, 12, 4);
    out->last_sequence = get(payload, 16, 8);
    memcpy(out->head, payload.at + 32, sizeof(out->head));
    for (size_t i = 0; i < out->lanes; i++) {
        out->lane[i].id = get(payload, COMMIT_BYTES + LANE_BYTES * i, 8);
        out->lane[i].ticket = get(payload, COMMIT_BYTES + LANE_BYTES * i + 8, 8);
    }
}

enum journal_group_found journal_group_parse(struct span bytes, struct journal_group *out)
{
    struct span payload;
    uint32_t records = 0;
    out->size = 0;
    while (out->size <= JOURNAL_GROUP_MAX) {
        switch (look(span_cut(bytes, out->size, bytes.len), &payload)) {
        case FRAME_RECORD:
            out->size += JOURNAL_FRAME_BYTES + payload.len;
            records++;
            break;
        case FRAME_SHORT:
            return JOURNAL_GROUP_SHORT;
        case FRAME_BAD:
            return JOURNAL_GROUP_BAD;
        case FRAME_COMMIT:
            if (get(payload, 12, 4) != records || get(payload, 24, 8) != out->size) {
                return JOURNAL_GROUP_BAD;
            }
            read_commit(payload, &out->commit);
            out->frames = span_cut(bytes, 0, out->size);
            out->size += JOURNAL_FRAME_BYTES + payload.len;
            return JOURNAL_GROUP_WHOLE;
        }
    }
    return JOURNAL_GROUP_BAD;
}

bool journal_frame_next(struct span *frames, struct span *line)
{
    if (frames->len == 0) {
        return false;
    }
    *line = span_cut(*frames, JOURNAL_FRAME_BYTES, get(*frames, 0, 4));
    *frames = span_cut(*frames, JOURNAL_FRAME_BYTES + line->len, frames->len);
    return true;
}

bool journal_commit_at_end(struct span bytes, struct journal_commit *out)
{
    for (size_t lanes = 0; lanes <= JOURNAL_LANES_MAX; lanes++) {
        size_t size = JOURNAL_FRAME_BYTES + COMMIT_BYTES + LANE_BYTES * lanes;
        struct span frame = span_cut(bytes, bytes.len - size, size);
        struct span payload;
        if (size > bytes.len) {
            break;
        }
        if (get(frame, 0, 4) == size - JOURNAL_FRAME_BYTES &&
            look(frame, &payload) == FRAME_COMMIT) {
            read_commit(payload, out);
            return true;
        }
    }
    return false;
}

bool journal_commit_find(struct span bytes, size_t *at, size_t *end, size_t *group_bytes)
{
    for (size_t from = JOURNAL_FRAME_BYTES; from < bytes.len; from++) {
        const uint8_t *hit = memmem(bytes.at + from, bytes.len - from, COMMIT_MAGIC, MAGIC_BYTES);
        if (hit == NULL) {
            return false;
        }
        from = (size_t)(hit - bytes.at);
        struct span payload;
        struct span rest = span_cut(bytes, from - JOURNAL_FRAME_BYTES, bytes.len);
        if (look(rest, &payload) == FRAME_COMMIT) {
            *at = from - JOURNAL_FRAME_BYTES;
            *end = from + payload.len;
            *group_bytes = get(payload, 24, 8);
            return true;
        }
    }
    return false;
}
