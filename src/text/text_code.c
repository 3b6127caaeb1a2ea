/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line has points for each kind of sign that it has, however often, and loses one for every two
 * words that follow another with a blank alone between them: prose is made of those. With
 * ENOUGH_POINTS it is code; behind a line of code less is enough, and being indented is.
 */
#include "text/text_code.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define ENOUGH_POINTS   3
#define BEHIND_CODE     2 /* points that are enough there */
#define INDENT          2 /* blanks that make a line a part of the one before, if that is code, */
#define INDENTED_POINTS (-2) /* unless it is this far from it */
#define WORDS_A_POINT   2
#define FENCE_MIN       3
#define FENCE_INDENT    3 /* blanks that may stand before one, at most */
#define TAB_BLANKS      4
#define STEP_BYTES      16
#define MASK_BITS       64
#define ALL_PERMILLE    1000

/* ---- what bytes are ---- */

enum kind { LETTER, DIGIT, SIGN, BLANK };

/* What is beyond ASCII is a letter, even a punctuation mark: both are prose. */
static const uint8_t kinds[256] = {
    [0] = SIGN,    ['\t'] = BLANK, ['\r'] = BLANK, [' '] = BLANK, ['!'] = SIGN,  ['"'] = SIGN,
    ['#'] = SIGN,  ['$'] = SIGN,   ['%'] = SIGN,   ['&'] = SIGN,  ['\''] = SIGN, ['('] = SIGN,
    [')'] = SIGN,  ['*'] = SIGN,   ['+'] = SIGN,   [','] = SIGN,  ['-'] = SIGN,  ['.'] = SIGN,
    ['/'] = SIGN,  ['0'] = DIGIT,  ['1'] = DIGIT,  ['2'] = DIGIT, ['3'] = DIGIT, ['4'] = DIGIT,
    ['5'] = DIGIT, ['6'] = DIGIT,  ['7'] = DIGIT,  ['8'] = DIGIT, ['9'] = DIGIT, [':'] = SIGN,
    [';'] = SIGN,  ['<'] = SIGN,   ['='] = SIGN,   ['>'] = SIGN,  ['?'] = SIGN,  ['@'] = SIGN,
    ['['] = SIGN,  ['\\'] = SIGN,  [']'] = SIGN,   ['^'] = SIGN,  ['_'] = SIGN,  ['`'] = SIGN,
    ['{'] = SIGN,  ['|'] = SIGN,   ['}'] = SIGN,   ['~'] = SIGN,
};

static inline enum kind kind_of(uint8_t b)
{
    return (enum kind)kinds[b];
}

static inline bool is_name(uint8_t b)
{
    return b == '_' || kind_of(b) <= DIGIT;
}

static inline bool is_small(uint8_t b)
{
    return b >= 'a' && b <= 'z';
}

/* ---- signs within a line ---- */

enum sign {
    CALL,     /* name( */
    ASSIGNS,  /* x = 1 */
    SETS,     /* x=1 */
    COMPARES, /* ==, !=, <=, += */
    ARROW,    /* p->x */
    LEADS,    /* -> and =>, which prose has, too */
    SCOPE,    /* :: */
    LOGIC,    /* && and || */
    MEMBER,   /* "key": */
    TAG,      /* <p */
    TAG_END,  /* </p, /> */
    COMMENT,  /* a pair of slash and star, in either order */
    BRACE,
    INDEX,    /* a[ */
    ESCAPE,   /* \n */
    VARIABLE, /* $x */
    OPTION,   /* -x, --name */
    COUNTS,   /* i++ */
    DOTTED,   /* a.b */
    SNAKE,    /* a_b */
    SIGNS
};

static const uint8_t sign_points[SIGNS] = {
    [CALL] = 2,     [ASSIGNS] = 2, [SETS] = 1,   [COMPARES] = 2, [ARROW] = 2,
    [LEADS] = 1,    [SCOPE] = 2,   [LOGIC] = 2,  [MEMBER] = 3,   [TAG] = 2,
    [TAG_END] = 2,  [COMMENT] = 2, [BRACE] = 1,  [INDEX] = 1,    [ESCAPE] = 1,
    [VARIABLE] = 1, [OPTION] = 1,  [COUNTS] = 1, [DOTTED] = 1,   [SNAKE] = 1,
};

#define BIT(sign) (1u << (sign))

/* What stands around a byte; 0 beyond the ends of the line. */
struct place {
    uint8_t before, at, behind, second; /* second: behind the one behind */
};

static uint32_t sign_of_equal(const struct place *p)
{
    if (p->behind == '=' || (p->before != 0 && strchr("=!<>+-*/|&:", p->before) != NULL)) {
        return BIT(COMPARES);
    }
    if (p->behind == '>') {
        return BIT(LEADS);
    }
    return p->before == ' ' && p->behind == ' ' ? BIT(ASSIGNS) : BIT(SETS);
}

static uint32_t sign_of_dash(const struct place *p)
{
    if (p->behind == '>') {
        return is_name(p->before) || p->before == ')' ? BIT(ARROW) : BIT(LEADS);
    }
    bool is_option = is_small(p->behind) || (p->behind == '-' && is_small(p->second));
    return p->before == ' ' && is_option ? BIT(OPTION) : 0;
}

static uint32_t sign_of_slash(const struct place *p)
{
    bool ends_tag = p->behind == '>' || p->before == '<';
    bool is_comment = p->behind == '*' || p->before == '*';
    return (ends_tag ? BIT(TAG_END) : 0) | (is_comment ? BIT(COMMENT) : 0);
}

static uint32_t sign_of_colon(const struct place *p)
{
    bool is_member = (p->before == '"' || p->before == '\'') &&
                     (p->behind == ' ' || p->behind == '"' || p->behind == '{' ||
                      p->behind == '[' || kind_of(p->behind) == DIGIT || p->behind == 0);
    return (p->behind == ':' ? BIT(SCOPE) : 0) | (is_member ? BIT(MEMBER) : 0);
}

static uint32_t sign_between_names(const struct place *p, enum sign sign)
{
    return kind_of(p->before) == LETTER && kind_of(p->behind) == LETTER ? BIT(sign) : 0;
}

static inline uint32_t sign_of(const struct place *p)
{
    switch (p->at) {
    case '(':
        return is_name(p->before) ? BIT(CALL) : 0;
    case '=':
        return sign_of_equal(p);
    case '-':
        return sign_of_dash(p);
    case ':':
        return sign_of_colon(p);
    case '&':
    case '|':
        return p->behind == p->at ? BIT(LOGIC) : 0;
    case '<':
        return is_small(p->behind) ? BIT(TAG) : p->behind == '!' ? BIT(COMMENT) : 0;
    case '/':
        return sign_of_slash(p);
    case '{':
    case '}':
        return BIT(BRACE);
    case '[':
        return is_name(p->before) ? BIT(INDEX) : 0;
    case '\\':
        return BIT(ESCAPE);
    case '$':
        return kind_of(p->behind) == LETTER || p->behind == '{' ? BIT(VARIABLE) : 0;
    case '+':
        return p->behind == '+' && is_small(p->before) ? BIT(COUNTS) : 0;
    case '.':
        return sign_between_names(p, DOTTED);
    case '_':
        return sign_between_names(p, SNAKE);
    default:
        return 0;
    }
}

/* ---- how lines begin and end ---- */

#define SURE_POINTS  4
#define MAYBE_POINTS 2
#define CAMEL_POINTS 1
#define LOG_POINTS   8 /* whatever its words are, nearly */

/* By the first byte, with '|' between: how no English sentence begins; */
static const char *const sure[128] = {
    ['#'] = "#include|#define |#if|#end|#!/|#[|",
    ['$'] = "$ |",
    ['*'] = "*/|",
    ['/'] = "/*|//|",
    ['<'] = "<!|<?|",
    ['@'] = "@@ -|",
    ['A'] = "ALTER TABLE |",
    ['C'] = "CREATE TABLE |",
    ['D'] = "DELETE FROM |",
    ['E'] = "Exception in thread |",
    ['F'] = "File \"|",
    ['I'] = "INSERT INTO |",
    ['L'] = "LEFT JOIN |",
    ['T'] = "Traceback (most recent|",
    ['a'] = "async def |",
    ['b'] = "break;|",
    ['d'] = "diff --git |",
    ['e'] = "elif |else:|except:|",
    ['f'] = "finally:|",
    ['g'] = "goroutine |",
    ['p'] = "panic: |print(|",
    ['r'] = "return;|",
    ['s'] = "set -|sudo |",
    ['t'] = "try:|typedef |",
    ['}'] = "}|",
};
/* how none does that has one word more; */
static const char *const alone[128] = {
    ['i'] = "import |",
    ['p'] = "package |",
};
/* and how some do. */
static const char *const maybe[128] = {
    ['#'] = "# |",
    ['-'] = "-- |",
    ['@'] = "@|",
    ['A'] = "AND |",
    ['C'] = "CREATE |",
    ['E'] = "ERROR|",
    ['F'] = "FROM |",
    ['G'] = "GROUP BY |",
    ['J'] = "JOIN |",
    ['O'] = "ORDER BY |",
    ['S'] = "SELECT |SET |",
    ['U'] = "UPDATE |",
    ['V'] = "VALUES|",
    ['W'] = "WHERE |",
    ['a'] = "at |await |",
    ['c'] = "case |char |class |const |",
    ['d'] = "def |",
    ['e'] = "echo |else if |enum |except |export |",
    ['f'] = "fn |for |from |func |function |",
    ['i'] = "if |impl |import |int |",
    ['l'] = "let |",
    ['n'] = "namespace |",
    ['p'] = "package |private |protected |public |",
    ['r'] = "return |",
    ['s'] = "select |static |struct |",
    ['t'] = "type |",
    ['u'] = "use |using |",
    ['v'] = "var |void |",
    ['w'] = "while |with |",
};

static bool begins_with_one(struct span line, const char *const table[128])
{
    const char *list = line.at[0] < 128 ? table[line.at[0]] : NULL;
    while (list != NULL && *list != '\0') {
        size_t i = 1; /* by the first it was found */
        while (i < line.len && list[i] != '|' && (uint8_t)list[i] == line.at[i]) {
            i++;
        }
        if (list[i] == '|') {
            return true;
        }
        while (list[i++] != '|') {
        }
        list += i;
    }
    return false;
}

static int points_of_beginning(struct span line, int words)
{
    if (begins_with_one(line, sure) || (words <= 1 && begins_with_one(line, alone))) {
        return SURE_POINTS + words / WORDS_A_POINT;
    }
    return begins_with_one(line, maybe) ? MAYBE_POINTS : 0;
}

/* Whether it begins as `form` says: 0 stands for a digit. */
static bool has_form(struct span line, const char *form)
{
    size_t i = 0;
    while (i < line.len && (form[i] == '0' ? kind_of(line.at[i]) == DIGIT
                                           : form[i] != '\0' && line.at[i] == (uint8_t)form[i])) {
        i++;
    }
    return form[i] == '\0';
}

static bool begins_with_a_time(struct span line)
{
    struct span inside = line.at[0] == '[' ? span_cut(line, 1, line.len) : line;
    return has_form(inside, "0000-00-00T00:00") || has_form(inside, "0000-00-00 00:00:0") ||
           has_form(inside, "0000/00/00 00:00:0") || has_form(inside, "00:00:00.0");
}

static int points_of_end(struct span line)
{
    uint8_t last = line.at[line.len - 1], before = line.len > 1 ? line.at[line.len - 2] : 0;
    switch (last) {
    case '{':
        return 3;
    case ';':
    case '}':
    case '(':
    case '[':
        return 2;
    case ':':
        return before == ')' || before == ']' ? 3 : 0;
    case ')':
        return 1;
    default:
        return span_ends(line, SPAN("; do")) || span_ends(line, SPAN("; then")) ? 3 : 0;
    }
}

/* A class of errors: "ValueError: bad", "java.lang.NullPointerException". */
static bool names_an_error(struct span line)
{
    static const char *const ends[] = {"Error", "Exception"};
    size_t end = span_find(line, ':', 0);
    struct span name = span_cut(line, 0, end);
    bool is_name_alone = span_find(name, ' ', 0) == name.len;
    for (size_t i = 0; is_name_alone && i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct span said = span_of(ends[i]);
        if (name.len > said.len && span_ends(name, said)) {
            return true;
        }
    }
    return false;
}

/* ---- a line ---- */

/* Behind an address, or a piece of code within a sentence, that begins at `at`; else `at`. */
static size_t skip_quoted(struct span line, size_t at)
{
    if (line.at[at] != '`' && line.at[at] != ':') {
        return at;
    }
    if (line.at[at] == '`') {
        size_t end = span_find(line, '`', at + 1);
        return end < line.len ? end + 1 : at;
    }
    if (!span_starts(span_cut(line, at, 3), SPAN("://"))) {
        return at;
    }
    while (at < line.len && kind_of(line.at[at]) != BLANK && line.at[at] != '"') {
        at++;
    }
    return at;
}

static uint8_t byte_at(struct span line, size_t at)
{
    return at < line.len ? line.at[at] : 0;
}

/* Of the bytes of a piece which are what: a bit each, the first the lowest. */
struct masks {
    uint64_t letters, blanks, signs, capitals, smalls;
};

/* Without a branch a byte: what words are made of follows no pattern. */
#if defined(__SSE2__)
/* Which of the bytes are among `count` from `first` on. */
static inline unsigned find_range(__m128i bytes, uint8_t first, uint8_t count)
{
    __m128i from = _mm_sub_epi8(bytes, _mm_set1_epi8((char)(first + 128)));
    return (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(from, _mm_set1_epi8((char)(count - 128))));
}

static inline unsigned find_byte(__m128i bytes, char byte)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte)));
}

static inline struct masks masks_of_step(const uint8_t at[STEP_BYTES])
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    struct masks m = {.smalls = find_range(bytes, 'a', 26), .capitals = find_range(bytes, 'A', 26)};
    m.letters = m.smalls | m.capitals | (unsigned)_mm_movemask_epi8(bytes);
    m.blanks = find_byte(bytes, ' ') | find_byte(bytes, '\t') | find_byte(bytes, '\r');
    m.signs = 0xFFFF & ~(m.letters | m.blanks | find_range(bytes, '0', 10));
    return m;
}
#else
static inline struct masks masks_of_step(const uint8_t at[STEP_BYTES])
{
    struct masks m = {0};
    for (unsigned i = 0; i < STEP_BYTES; i++) {
        uint64_t kind = kinds[at[i]];
        m.letters |= (uint64_t)(kind == LETTER) << i;
        m.blanks |= (uint64_t)(kind == BLANK) << i;
        m.signs |= (uint64_t)(kind == SIGN) << i;
        m.capitals |= (uint64_t)(at[i] >= 'A' && at[i] <= 'Z') << i;
        m.smalls |= (uint64_t)is_small(at[i]) << i;
    }
    return m;
}
#endif

static struct masks masks_of(struct span piece)
{
    struct masks m = {0};
    for (size_t from = 0; from < piece.len; from += STEP_BYTES) {
        uint8_t rest[STEP_BYTES];
        const uint8_t *at = piece.at + from;
        if (piece.len - from < STEP_BYTES) {
            memset(rest, ' ', sizeof(rest));
            memcpy(rest, at, piece.len - from);
            at = rest;
        }
        struct masks step = masks_of_step(at);
        m.letters |= step.letters << from;
        m.blanks |= step.blanks << from;
        m.signs |= step.signs << from;
        m.capitals |= step.capitals << from;
        m.smalls |= step.smalls << from;
    }
    return m;
}

/* What the sign at a place says; 0 within an address, or code within a sentence, up to `*behind`.
 */
static uint32_t read_sign(struct span line, size_t at, size_t *behind)
{
    if (at < *behind) {
        return 0;
    }
    *behind = skip_quoted(line, at);
    const struct place p = {at > 0 ? line.at[at - 1] : 0, line.at[at], byte_at(line, at + 1),
                            byte_at(line, at + 2)};
    return *behind == at ? sign_of(&p) : 0;
}

/* A line as its masks say: where its signs are, how many words follow another. */
struct outline {
    uint64_t signs[TEXT_CODE_BYTES / MASK_BITS];
    int words;
    bool has_camel; /* aB */
};

static void outline_of(struct span line, struct outline *out)
{
    struct masks last = {0};
    out->words = 0;
    out->has_camel = false;
    for (size_t from = 0; from < line.len; from += MASK_BITS) {
        struct masks m = masks_of(span_cut(line, from, MASK_BITS));
        uint64_t behind_blank = m.blanks << 1 | last.blanks >> (MASK_BITS - 1);
        uint64_t behind_word = m.letters << 2 | last.letters >> (MASK_BITS - 2);
        uint64_t behind_small = m.smalls << 1 | last.smalls >> (MASK_BITS - 1);
        out->words += __builtin_popcountll(m.letters & behind_blank & behind_word);
        out->has_camel = out->has_camel || (m.capitals & behind_small) != 0;
        out->signs[from / MASK_BITS] = m.signs;
        last = m;
    }
}

/* Whether a line has so many points: its signs are read for as long as it may lack them. */
static bool has_points(struct span line, int least)
{
    struct outline o;
    uint32_t signs = 0;
    outline_of(line, &o);
    int points = points_of_beginning(line, o.words) + points_of_end(line) - o.words / WORDS_A_POINT;
    points += begins_with_a_time(line) ? LOG_POINTS : 0;
    points += o.has_camel ? CAMEL_POINTS : 0;
    points += o.has_camel && names_an_error(line) ? SURE_POINTS : 0;
    size_t behind = 0; /* signs before this are a word's */
    for (size_t from = 0; from < line.len; from += MASK_BITS) {
        uint64_t mask = o.signs[from / MASK_BITS];
        for (; mask != 0 && points < least; mask &= mask - 1) {
            size_t at = from + (size_t)__builtin_ctzll(mask);
            uint32_t seen = read_sign(line, at, &behind) & ~signs;
            signs |= seen;
            for (; seen != 0; seen &= seen - 1) {
                points += sign_points[__builtin_ctz(seen)];
            }
        }
    }
    return points >= least;
}

/* Whether there is nothing but brackets and what stands behind them. */
static bool is_brackets(struct span line)
{
    size_t at = 0;
    while (at < line.len && line.at[at] != 0 && strchr("{}[]();,", line.at[at]) != NULL) {
        at++;
    }
    return at == line.len;
}

/* ---- the whole ---- */

struct reading {
    uint8_t fence;    /* the byte that it is made of; 0: in none */
    size_t fence_len; /* and of how many */
    bool was_code;    /* the line before */
    bool is_diff;
    uint32_t all, code; /* characters */
};

/* Of how many bytes of its kind a line begins with a fence; 0: with none. */
static size_t fence_of(struct span line, size_t indent)
{
    size_t len = 0;
    if (indent > FENCE_INDENT || (line.at[0] != '`' && line.at[0] != '~')) {
        return 0;
    }
    while (len < line.len && line.at[len] == line.at[0]) {
        len++;
    }
    /* Behind ``` of code in a line there are others. */
    bool is_inline = line.at[0] == '`' && span_find(line, '`', len) < line.len;
    return len >= FENCE_MIN && !is_inline ? len : 0;
}

/* Opens or closes a fence; false: the line is none. */
static bool take_fence(struct reading *r, struct span line, size_t indent)
{
    size_t len = fence_of(line, indent);
    if (len == 0) {
        return false;
    }
    if (r->fence == 0) {
        r->fence = line.at[0];
        r->fence_len = len;
        return true;
    }
    bool closes = line.at[0] == r->fence && len >= r->fence_len && len == line.len;
    r->fence = closes ? 0 : r->fence;
    return closes;
}

/* Whether the line is of a diff, whose lines begin with what became of them. */
static bool take_diff(struct reading *r, struct span line, size_t indent)
{
    uint8_t first = line.at[0];
    bool may_go_on = indent > 0 || first == '+' || first == '-' || first == 'i' || first == 'n';
    r->is_diff = (r->is_diff && may_go_on) ||
                 (first == 'd' && span_starts(line, SPAN("diff --git "))) ||
                 (first == '@' && span_starts(line, SPAN("@@ -"))) ||
                 (first == '-' && span_starts(line, SPAN("--- a/")));
    return r->is_diff;
}

static bool is_code(struct reading *r, struct span line, size_t indent)
{
    if (r->fence != 0 || take_diff(r, line, indent) ||
        (kind_of(line.at[0]) == SIGN && is_brackets(line))) {
        return true;
    }
    int least = r->was_code ? BEHIND_CODE : ENOUGH_POINTS;
    return has_points(line, r->was_code && indent >= INDENT ? INDENTED_POINTS : least);
}

/* The bytes that begin one: eight at a time. */
static uint32_t characters_of(struct span line)
{
    static const uint64_t ones = 0x0101010101010101;
    uint32_t count = (uint32_t)line.len;
    size_t at = 0;
    for (; at + sizeof(ones) <= line.len; at += sizeof(ones)) {
        uint64_t bytes;
        memcpy(&bytes, line.at + at, sizeof(bytes));
        count -= (uint32_t)__builtin_popcountll(bytes >> 7 & ~(bytes >> 6) & ones);
    }
    for (; at < line.len; at++) {
        count -= (line.at[at] & 0xC0) == 0x80;
    }
    return count;
}

static void take_line(struct reading *r, struct span line)
{
    size_t indent = 0, from = 0;
    while (from < line.len && kind_of(line.at[from]) == BLANK) {
        indent += line.at[from++] == '\t' ? TAB_BLANKS : 1;
    }
    while (line.len > from && kind_of(line.at[line.len - 1]) == BLANK) {
        line.len--;
    }
    line = span_cut(line, from, line.len);
    if (line.len == 0 || take_fence(r, line, indent)) {
        return;
    }
    uint32_t characters = characters_of(line);
    r->was_code = is_code(r, line, indent);
    r->all += characters;
    r->code += r->was_code ? characters : 0;
}

int text_code_permille(struct span text)
{
    struct reading r = {.fence = 0};
    text = span_cut_text(text, TEXT_CODE_BYTES);
    for (size_t at = 0; at < text.len;) {
        size_t end = span_find(text, '\n', at);
        take_line(&r, span_cut(text, at, end - at));
        at = end + 1;
    }
    return r.all == 0 ? 0 : (int)(r.code * ALL_PERMILLE / r.all);
}
