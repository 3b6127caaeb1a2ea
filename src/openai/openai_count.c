/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text is counted as it is written, many bytes at a time, and what its escapes cost more that way
 * than what they say is taken off: JSON's short escapes stand for signs and controls, which cost
 * what their backslash does, so it is the character behind that one.
 */
#include "openai/openai_count.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "openai/openai_places.h"
#include "text/text_tokens.h"

#define TOKEN           8 /* eighths */
#define MESSAGE_TOKENS  4
#define INPUT_TOKENS    2
#define AROUND_TOKENS   2
#define PICTURE_TOKENS  1445
#define PREVIEW_TOKENS  85
#define SOUND_BYTES     512 /* of base64, a token */
#define FILE_BYTES      64
#define BYTES_A_ROW     16 /* of text that take as long to count as a row to look at */
#define PIECE_BYTES_MAX 16384
#define PIECE_BYTES_MIN 16    /* never less than a character */
#define ROWS_MAX        65536 /* looked at between two looks at the budget */
#define ROWS_BYTES_MAX  ((size_t)ROWS_MAX * BYTES_A_ROW)

static void begin(struct openai_count *t)
{
    t->left = SPAN("");
    memset(t->eighths, 0, sizeof(t->eighths));
    t->asked_before = t->asked_item = JSON_NONE;
    t->opening_turn = t->opening_instruction = JSON_NONE;
    t->asked_count = t->turns = 0;
    t->is_noting = t->has_pictures = false;
    memset(&t->shape, 0, sizeof(t->shape));
    t->beside = 0;
}

void openai_count_begin(struct openai_count *t, const struct json_index *x)
{
    openai_texts_begin(&t->texts, x, OPENAI_TEXTS_REQUEST);
    begin(t);
}

void openai_count_begin_choice(struct openai_count *t, const struct json_index *x, uint32_t choice)
{
    openai_texts_begin_choice(&t->texts, x, choice);
    begin(t);
}

static uint64_t cost_of_media(const struct openai_count *t)
{
    struct span inside = json_inside(t->texts.x, t->text.row);
    bool is_elsewhere = span_starts(inside, SPAN("http"));
    switch (t->text.media) {
    case OPENAI_MEDIA_PREVIEW:
        return PREVIEW_TOKENS * TOKEN;
    case OPENAI_MEDIA_SOUND:
        return (is_elsewhere ? PICTURE_TOKENS : inside.len / SOUND_BYTES + 1) * TOKEN;
    case OPENAI_MEDIA_FILE:
        return (is_elsewhere ? PICTURE_TOKENS : inside.len / FILE_BYTES + 1) * TOKEN;
    case OPENAI_MEDIA_PICTURE:
    case OPENAI_MEDIA_NONE:
        break;
    }
    return PICTURE_TOKENS * TOKEN;
}

/* What a text costs beside its characters. */
static uint64_t cost_around(enum openai_channel channel)
{
    if (channel == OPENAI_TEXT_DEFINITION || channel == OPENAI_TEXT_SCHEMA) {
        return AROUND_TOKENS * TOKEN;
    }
    return channel == OPENAI_TEXT_PROMPT || channel == OPENAI_TEXT_INPUT ? INPUT_TOKENS * TOKEN : 0;
}

/* ---- texts ---- */

/* The first backslash from `at` on, or a place from `end` on; up to `room` may be read. */
static inline const uint8_t *find_escape(const uint8_t *at, const uint8_t *end, const uint8_t *room)
{
#if defined(__SSE2__)
    const uint8_t *near = end - at >= 16 ? end - 15 : at;
    const uint8_t *wide_end = room - end >= 16 ? end : near;
    for (; at < wide_end; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        int found = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
        if (found != 0) {
            return at + __builtin_ctz((unsigned)found);
        }
    }
#else
    (void)room;
#endif
    while (at < end && *at != '\\') {
        at++;
    }
    return at;
}

/* What the escape at `*at` costs more as it is written than what it says; `*at` is then behind. */
static uint64_t cost_of_escape(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *from = *at;
    if (LIKELY(from[1] != 'u')) {
        *at = from + 2;
        return text_token_eighths_ascii(from[1]);
    }
    uint8_t said[4];
    struct span left = span_make(from, (size_t)(end - from));
    size_t len = json_undo_escape(&left, said);
    *at = left.at;
    return text_token_eighths(span_make(from, (size_t)(left.at - from))) -
           text_token_eighths_portable(span_make(said, len)); /* less than nothing, of an emoji */
}

/* How many of the first `most` bytes of `s` are whole characters. */
static size_t whole_characters(struct span s, size_t most)
{
    if (s.len <= most) {
        return s.len;
    }
    while ((s.at[most] & 0xC0) == 0x80) {
        most--;
    }
    return most;
}

static bool is_read(enum openai_channel channel)
{
    return channel != OPENAI_TEXT_LABEL && channel != OPENAI_TEXT_LOGPROB;
}

/* Adds what is written, unescaped. */
static void add_shape(struct openai_count *t, struct span written)
{
    const uint8_t *end = written.at + written.len;
    while (written.len > 0) {
        const uint8_t *escape = find_escape(written.at, end, end);
        text_shape_add(&t->shape, span_make(written.at, (size_t)(escape - written.at)));
        written = span_make(escape, (size_t)(end - escape));
        if (written.len > 0) {
            uint8_t said[4];
            size_t len = json_undo_escape(&written, said);
            text_shape_add(&t->shape, span_make(said, len));
        }
    }
}

/* Counts about `most` bytes more of t->text, whole characters and escapes; returns how many. */
static size_t count_piece(struct openai_count *t, size_t most)
{
    struct span text = t->texts.x->text, left = t->left;
    const uint8_t *at = left.at, *until = at + whole_characters(left, most);
    uint64_t more = 0;
    if ((json_row(t->texts.x, t->text.row)->flags & JSON_ESCAPED) != 0) {
        const uint8_t *room = text.at + text.len, *end = left.at + left.len;
        while ((at = find_escape(at, until, room)) < until) {
            more += cost_of_escape(&at, end);
            until = at > until ? at : until;
        }
    }
    size_t len = (size_t)(until - left.at);
    t->eighths[t->text.channel] += text_token_eighths(span_cut(left, 0, len)) - more;
    if (UNLIKELY(t->is_noting) && is_read(t->text.channel)) {
        add_shape(t, span_cut(left, 0, len));
    }
    t->left = span_cut(left, len, left.len);
    return len;
}

/* Remembers where the texts of the user's last turns are. An empty one asks nothing. */
static void note_turn(struct openai_count *t)
{
    if (t->text.item != t->asked_item || t->turns == 0) {
        t->asked_before = t->asked_count > 0 ? t->asked[0] : t->asked_before;
        t->asked_count = 0;
        t->asked_item = t->text.item;
        t->turns++;
    }
    if (t->asked_count < OPENAI_COUNT_ASKED && json_inside(t->texts.x, t->text.row).len > 0) {
        t->asked[t->asked_count++] = t->text.row;
        t->opening_turn = t->opening_turn == JSON_NONE ? t->text.row : t->opening_turn;
    }
}

/* One behind the first turn does not open the chat: it was not there when that was asked. */
static void note_instruction(struct openai_count *t)
{
    if (t->turns == 0 && t->opening_instruction == JSON_NONE &&
        json_inside(t->texts.x, t->text.row).len > 0) {
        t->opening_instruction = t->text.row;
    }
}

static void note(struct openai_count *t)
{
    switch ((unsigned)t->text.channel) {
    case OPENAI_TEXT_MEDIA:
        t->has_pictures = t->has_pictures || t->text.media == OPENAI_MEDIA_PICTURE ||
                          t->text.media == OPENAI_MEDIA_PREVIEW;
        break;
    case OPENAI_TEXT_SYSTEM:
        note_instruction(t);
        break;
    case OPENAI_TEXT_USER:
    case OPENAI_TEXT_PROMPT:
    case OPENAI_TEXT_INPUT:
        note_turn(t);
        break;
    default:
        break;
    }
}

/* Begins with t->text; one that is short is done at once. Returns how many bytes were counted. */
static size_t begin_text(struct openai_count *t, size_t bytes)
{
    uint64_t *sum = &t->eighths[t->text.channel];
    if (UNLIKELY(t->is_noting)) {
        note(t);
    }
    if (t->text.channel == OPENAI_TEXT_MEDIA) {
        uint64_t media = cost_of_media(t);
        *sum += media;
        t->beside += media;
        return 0;
    }
    *sum += cost_around(t->text.channel);
    t->beside += cost_around(t->text.channel);
    text_shape_begin(&t->shape);
    t->left = json_inside(t->texts.x, t->text.row);
    return LIKELY(t->left.len < bytes) ? count_piece(t, bytes) : 0;
}

/* The next piece of t->text; returns how many bytes of it were counted. */
static size_t go_on_with_text(struct openai_count *t, size_t bytes)
{
    size_t most = bytes < PIECE_BYTES_MAX ? bytes : PIECE_BYTES_MAX;
    return count_piece(t, most > PIECE_BYTES_MIN ? most : PIECE_BYTES_MIN);
}

/* What one more text took, or the rows up to one; `*is_done`: there is none. */
static size_t take(struct openai_count *t, size_t bytes, bool *is_done)
{
    uint32_t most = bytes < ROWS_BYTES_MAX ? (uint32_t)bytes / BYTES_A_ROW + 1 : ROWS_MAX;
    uint32_t rows = most;
    enum openai_texts_step step = openai_texts_next(&t->texts, &rows, &t->text);
    *is_done = step == OPENAI_TEXTS_END;
    return (size_t)(most - rows) * BYTES_A_ROW +
           (step == OPENAI_TEXTS_ONE ? begin_text(t, bytes) : 0);
}

bool openai_count_step(struct openai_count *t, size_t *bytes)
{
    bool is_done = false;
    while (*bytes > 0 && !is_done) {
        size_t took = t->left.len > 0 ? go_on_with_text(t, *bytes) : take(t, *bytes, &is_done);
        *bytes -= took < *bytes ? took : *bytes;
    }
    return is_done;
}

int64_t openai_count_read(const struct openai_count *t)
{
    uint64_t eighths = (uint64_t)t->texts.messages * MESSAGE_TOKENS * TOKEN;
    for (unsigned channel = 0; channel < OPENAI_CHANNELS; channel++) {
        if (is_read(channel)) {
            eighths += t->eighths[channel];
        }
    }
    return (int64_t)text_tokens_of(eighths);
}

uint64_t openai_count_written(const struct openai_count *t)
{
    return t->eighths[OPENAI_TEXT_ASSISTANT] + t->eighths[OPENAI_TEXT_REASONING] +
           t->eighths[OPENAI_TEXT_REFUSAL] + t->eighths[OPENAI_TEXT_NAME] +
           t->eighths[OPENAI_TEXT_ARGUMENTS];
}

uint64_t openai_count_reasoning(const struct openai_count *t)
{
    return t->eighths[OPENAI_TEXT_REASONING];
}

uint64_t openai_count_text(const struct json_index *x, uint32_t row)
{
    struct openai_count t = {.texts.x = x, .text.row = row};
    if (row != JSON_NONE && json_kind(x, row) == JSON_STRING) {
        t.left = json_inside(x, row);
    }
    while (t.left.len > 0) {
        (void)count_piece(&t, PIECE_BYTES_MAX);
    }
    return t.eighths[t.text.channel];
}
