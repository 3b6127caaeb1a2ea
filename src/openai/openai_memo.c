/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Most events of a stream are the one before but for a piece of text. What such an event becomes is
 * known, if the one before changed nothing of the stream but the length of the text: then it was a
 * fixed point, and so is each that differs in the text alone, for nothing that is edited depends on
 * it. A text without quotes, backslashes and control characters, in UTF-8, makes of what stands
 * around it the same JSON.
 *
 * To note what became of an event costs a third of looking at it, so a stream in which none repeats
 * is soon asked now and then only.
 */
#include "base/memory.h"
#include "openai/openai_internal.h"
#include "text/text_tokens.h"
#include "json/json_scan.h"

#define MEMO_BYTES  512 /* each, of what came and of what was sent, around the text */
#define MEMO_PIECES 16
#define MISSES_MAX  8  /* notes that were of no use, after which one is taken each */
#define MISSES_ASK  64 /* so many events */

struct openai_memo {
    bool is_good;            /* it is of the last event */
    uint16_t misses;         /* notes that were taken since the last use */
    uint16_t before, behind; /* bytes around the text, quotes included, as they came */
    uint16_t sent_before, sent_behind;
    uint32_t around; /* eighths of a token of what is said there */
    uint8_t came[MEMO_BYTES], sent[MEMO_BYTES];
};

/* The text that the event says, if that is all: one choice, the first, with one text and no calls,
 * no usage. JSON_NONE: it says something else too. */
static uint32_t text_of(const struct openai_event *v)
{
    const struct openai_cursor *k = &v->cursor;
    bool is_one = v->is_made && v->verdict == OPENAI_SEND && k->position == 1 && k->index == 0 &&
                  k->calls == JSON_NONE && v->usage == JSON_NONE && v->timings == JSON_NONE;
    return is_one && openai_is_kind(v->x, k->text, JSON_STRING) ? k->text : JSON_NONE;
}

/* Whether the stream is as it was before the event, but for the length of the text. */
static bool is_unchanged(const struct openai_stream *s, const struct openai_stream *before)
{
    struct openai_stream was = *before;
    was.answer.written = s->answer.written;
    was.answer.first.written = s->answer.first.written;
    return span_equal(span_make(&was, sizeof(was)), span_make(s, sizeof(*s)));
}

/* Adds a piece of what is sent; false: there is no room, for the text is in it in another place. */
static bool put_sent(struct openai_memo *m, size_t *len, struct span piece)
{
    if (piece.len > MEMO_BYTES - *len) {
        return false;
    }
    memcpy(m->sent + *len, piece.at, piece.len);
    *len += piece.len;
    return true;
}

/* Adds what is sent around the text to the memo; false: the text is not sent as it came. */
static bool keep_sent(struct openai_memo *m, const struct json_edits *edits, struct span text)
{
    struct iovec pieces[MEMO_PIECES];
    size_t count = json_edits_pieces(edits, pieces), len = 0;
    bool is_found = false, fits = true;
    for (size_t i = 0; i < count && fits; i++) {
        struct span piece = span_make(pieces[i].iov_base, pieces[i].iov_len);
        if (!is_found && piece.at <= text.at && text.at + text.len < piece.at + piece.len) {
            size_t some = (size_t)(text.at - piece.at);
            fits = put_sent(m, &len, span_cut(piece, 0, some));
            m->sent_before = (uint16_t)len;
            is_found = true;
            piece = span_cut(piece, some + text.len, piece.len);
        }
        fits = fits && put_sent(m, &len, piece);
    }
    if (!is_found || !fits) {
        return false;
    }
    m->sent_behind = (uint16_t)(len - m->sent_before);
    for (size_t i = 0; i < len; i++) { /* an event is one line, and these are blanks in JSON */
        m->sent[i] = m->sent[i] == '\n' || m->sent[i] == '\r' ? ' ' : m->sent[i];
    }
    return true;
}

void openai_memo_forget(struct openai_stream *s)
{
    if (s->memo != NULL) {
        s->memo->is_good = false;
    }
}

/* Whether the event around its text, which has `at` bytes before it, is that of the memo still. */
static bool is_known(const struct openai_memo *m, struct span data, size_t at, size_t behind)
{
    return m->before == at && m->behind == behind && memcmp(data.at, m->came, at) == 0 &&
           memcmp(data.at + data.len - behind, m->came + at, behind) == 0;
}

static void note(struct openai_memo *m, const struct openai_event *v, struct span text, size_t at,
                 uint64_t around)
{
    size_t behind = v->x->text.len - at - text.len;
    if (is_known(m, v->x->text, at, behind)) {
        m->is_good = true;
        return;
    }
    m->misses++;
    if (m->misses > MISSES_MAX && m->misses % MISSES_ASK != 0) {
        return;
    }
    memcpy(m->came, v->x->text.at, at);
    memcpy(m->came + at, text.at + text.len, behind);
    m->before = (uint16_t)at;
    m->behind = (uint16_t)behind;
    m->around = (uint32_t)around; /* of so few bytes it fits */
    m->is_good = keep_sent(m, v->edits, text);
    if (!m->is_good) {
        m->before = 0; /* no event is known by it */
    }
}

void openai_memo_keep(struct openai_stream *s, const struct openai_stream *before,
                      const struct openai_event *v)
{
    uint32_t row = text_of(v);
    if (row == JSON_NONE || !is_unchanged(s, before)) {
        return;
    }
    struct span text = json_source(v->x, row);
    text = span_cut(text, 1, text.len - 2);
    size_t at = (size_t)(text.at - v->x->text.at), behind = v->x->text.len - at - text.len;
    if (at + behind > MEMO_BYTES || json_edits_most_pieces(v->edits) > MEMO_PIECES ||
        json_edits_total(v->edits) - text.len > MEMO_BYTES) {
        return;
    }
    if (s->memo == NULL) {
        s->memo = memory_raw_counted(sizeof(*s->memo));
        if (s->memo == NULL) {
            return; /* each event is looked at */
        }
        s->memo->before = s->memo->misses = 0;
    }
    uint64_t written = s->answer.written - before->answer.written;
    uint64_t said = openai_count_text(v->x, row);
    if (written >= said) { /* else the walk passes over what is sent as text */
        note(s->memo, v, text, at, written - said);
    }
}

bool openai_stream_repeats(struct openai_stream *s, struct span data, struct iovec pieces[3])
{
    struct openai_memo *m = s->memo;
    if (m == NULL || !m->is_good || data.len < (size_t)m->before + m->behind ||
        memcmp(data.at, m->came, m->before) != 0) {
        return false;
    }
    const uint8_t *text = data.at + m->before, *end = data.at + data.len - m->behind;
    size_t len = (size_t)(end - text);
    if (memcmp(end, m->came + m->before, m->behind) != 0 || json_scan_special(text, end) != end ||
        json_scan_utf8(span_make(text, len)) != len) {
        return false;
    }
    pieces[0] = (struct iovec){(void *)(uintptr_t)m->sent, m->sent_before};
    pieces[1] = (struct iovec){(void *)(uintptr_t)text, len};
    pieces[2] = (struct iovec){(void *)(uintptr_t)(m->sent + m->sent_before), m->sent_behind};
    m->misses = 0;
    uint64_t written = text_token_eighths(span_make(text, len)) + m->around;
    s->answer.first.written += written;
    s->answer.written += written;
    s->has_content = s->has_content || len > 0; /* the one before may have been empty */
    return true;
}
