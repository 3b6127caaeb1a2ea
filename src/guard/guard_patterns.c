/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns are compiled twice: by PCRE2, which decides, and all together by Vectorscan, which says
 * where PCRE2 has to look. Vectorscan is given a form that matches the same or more
 * (guard_pattern_read.c); one that is too large for it is left to PCRE2 alone.
 */
#include "guard/guard_patterns_internal.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"

#define CHARACTER      4                          /* bytes, at most */
#define LOOKBEHIND_MAX (GUARD_BEFORE / CHARACTER) /* characters */
#define BRACKETS_MAX   32                         /* inside each other */
#define MESSAGE_BYTES  120
#define FIRST_FLAGS    HS_FLAG_ALLOWEMPTY /* what is only looked at may have been all of it */
#define FORM_BYTES_MAX (32 * GUARD_PATTERN_BYTES)
#define ASCII_END      0x80
#define CASE_BIT       0x20

static void *take(size_t size, void *unused)
{
    (void)unused;
    return memory_raw(size);
}

static void give(void *at, void *unused)
{
    (void)unused;
    memory_free(at);
}

pcre2_general_context *guard_pattern_memory(void)
{
    return pcre2_general_context_create(take, give, NULL);
}

static void set_allocator(void)
{
    CHECK(hs_set_allocator(memory_raw, memory_free) == HS_SUCCESS);
}

enum err guard_patterns_new(struct guard_patterns **out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Atomic uint64_t serials;
    CHECK(pthread_once(&once, set_allocator) == 0);
    struct guard_patterns *p = *out = memory_new(sizeof(*p));
    if (p == NULL) {
        return ERR_NO_MEMORY;
    }
    p->serial = ++serials;
    p->general = guard_pattern_memory();
    p->compile = p->general == NULL ? NULL : pcre2_compile_context_create(p->general);
    if (p->compile == NULL) {
        guard_patterns_free(out);
        return ERR_NO_MEMORY;
    }
    /* These can only say that it was done. */
    (void)pcre2_set_newline(p->compile, PCRE2_NEWLINE_LF); /* as Vectorscan */
    (void)pcre2_set_parens_nest_limit(p->compile, BRACKETS_MAX);
    return ERR_OK;
}

void guard_patterns_free(struct guard_patterns **patterns)
{
    struct guard_patterns *p = *patterns;
    *patterns = NULL;
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        pcre2_code_free(p->at[i].code);
        memory_free(p->at[i].first);
    }
    (void)hs_free_database(p->database); /* NULL is fine */
    pcre2_compile_context_free(p->compile);
    pcre2_general_context_free(p->general);
    memory_free(p);
}

/* ---- what PCRE2 says ---- */

static enum err PRINTF_LIKE(2, 3) refuse(char fault[GUARD_RULES_FAULT], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(fault, GUARD_RULES_FAULT, format, args); /* cut where it does not fit */
    va_end(args);
    return ERR_CONFIG;
}

static uint32_t fact_of(const pcre2_code *code, uint32_t what)
{
    uint32_t fact = 0;
    CHECK(pcre2_pattern_info(code, what, &fact) == 0);
    return fact;
}

static enum err compile(struct guard_patterns *p, struct guard_pattern *to, struct span text,
                        char fault[GUARD_RULES_FAULT])
{
    int error = 0;
    size_t at = 0;
    to->code = pcre2_compile(text.at, text.len, GUARD_PATTERN_OPTIONS, &error, &at, p->compile);
    if (to->code != NULL) {
        return ERR_OK;
    }
    if (error == PCRE2_ERROR_HEAP_FAILED) {
        return ERR_NO_MEMORY;
    }
    uint8_t message[MESSAGE_BYTES] = "";
    (void)pcre2_get_error_message(error, message, sizeof(message)); /* cut is as well */
    return refuse(fault, "at byte %zu: %s", at + 1, (const char *)message);
}

static enum err check_code(const pcre2_code *code, char fault[GUARD_RULES_FAULT])
{
    if (fact_of(code, PCRE2_INFO_BACKREFMAX) > 0) {
        return refuse(fault, "references back are not supported");
    }
    if (fact_of(code, PCRE2_INFO_MATCHEMPTY) != 0 || fact_of(code, PCRE2_INFO_MINLENGTH) == 0) {
        return refuse(fault, "it matches where there is nothing: it would be found everywhere");
    }
    if (fact_of(code, PCRE2_INFO_MAXLOOKBEHIND) >= LOOKBEHIND_MAX) {
        return refuse(fault, "it looks back more than %d characters", LOOKBEHIND_MAX - 1);
    }
    return ERR_OK;
}

/* ---- what Vectorscan says ---- */

static enum err fault_of(hs_compile_error_t *error, hs_error_t said, char fault[GUARD_RULES_FAULT])
{
    enum err e = ERR_NO_MEMORY;
    if (said == HS_COMPILER_ERROR && error != NULL && strstr(error->message, "memory") == NULL) {
        e = refuse(fault, "it is not supported: %s", error->message);
    }
    (void)hs_free_compile_error(error);
    return e;
}

static enum err measure(struct guard_pattern *to, struct span wide, char fault[GUARD_RULES_FAULT])
{
    hs_expr_info_t *info = NULL;
    hs_compile_error_t *error = NULL;
    hs_error_t said = hs_expression_info((const char *)wide.at, HS_FLAG_ALLOWEMPTY, &info, &error);
    if (said != HS_SUCCESS) {
        return fault_of(error, said, fault);
    }
    unsigned width = info->max_width;
    memory_free(info);
    if (width > GUARD_VALUE_BYTES) {
        return refuse(fault,
                      "it can match %u bytes, with what it looks at; %d are the most: bound its "
                      "repeats more tightly (a character beyond ASCII counts up to 4)",
                      width, GUARD_VALUE_BYTES);
    }
    to->width = (uint16_t)width;
    return ERR_OK;
}

/* Whether Vectorscan takes it. */
static enum err try_first(struct guard_pattern *to, struct span first)
{
    hs_database_t *database = NULL;
    hs_compile_error_t *error = NULL;
    hs_error_t said =
        hs_compile((const char *)first.at, FIRST_FLAGS, HS_MODE_BLOCK, NULL, &database, &error);
    (void)hs_free_database(database);
    (void)hs_free_compile_error(error);
    if (said == HS_SUCCESS) {
        to->first = memory_text((const char *)first.at);
    }
    return said == HS_NOMEM || (said == HS_SUCCESS && to->first == NULL) ? ERR_NO_MEMORY : ERR_OK;
}

/* ---- the whole ---- */

static bool is_caseless(struct span text)
{
    for (size_t i = span_find(text, '?', 0); i < text.len; i = span_find(text, '?', i + 1)) {
        for (size_t j = i + 1; j < text.len && strchr("imsJUnx-^", text.at[j]) != NULL; j++) {
            if (text.at[j] == 'i') {
                return true;
            }
        }
    }
    return false;
}

static enum err read_and_check(struct guard_patterns *p, struct guard_pattern *to, struct span text,
                               char fault[GUARD_RULES_FAULT])
{
    struct guard_pattern_text read = {.is_caseless = is_caseless(text)};
    buf_init(&read.first, FORM_BYTES_MAX);
    buf_init(&read.wide, FORM_BYTES_MAX);
    enum err e = guard_pattern_read(text, &read, fault);
    e = e == ERR_OK ? check_code(to->code, fault) : e;
    to->before = (uint16_t)(CHARACTER * (1 + fact_of(to->code, PCRE2_INFO_MAXLOOKBEHIND)));
    e = e == ERR_OK ? measure(to, buf_span(&read.wide), fault) : e;
    e = e == ERR_OK ? guard_pattern_try(p, text, fault) : e;
    e = e == ERR_OK ? try_first(to, buf_span(&read.first)) : e;
    buf_fini(&read.first);
    buf_fini(&read.wide);
    return e;
}

/* Texts are folded before they are looked at, so the pattern is as well. */
static enum err add_folded(struct guard_patterns *p, struct span text, unsigned type,
                           char fault[GUARD_RULES_FAULT])
{
    struct guard_pattern *to = &p->at[p->count++];
    to->type = (uint16_t)type;
    enum err e = compile(p, to, text, fault);
    return e == ERR_OK ? read_and_check(p, to, text, fault) : e;
}

enum err guard_patterns_add(struct guard_patterns *p, struct span text, unsigned type,
                            char fault[GUARD_RULES_FAULT])
{
    struct text_fold folded;
    CHECK(p->count < GUARD_RULES_MAX);
    if (text.len == 0 || text.len > GUARD_PATTERN_BYTES) {
        return refuse(fault, "a pattern has 1 to %d bytes", GUARD_PATTERN_BYTES);
    }
    if (memchr(text.at, '\0', text.len) != NULL) {
        return refuse(fault, "a pattern has no NUL");
    }
    text_fold_init(&folded);
    enum err e = text_fold(&folded, text);
    e = e == ERR_OK ? add_folded(p, folded.text, type, fault) : e;
    text_fold_fini(&folded);
    return e;
}

static void add_start(struct guard_patterns *p, size_t i, unsigned byte)
{
    p->starts[byte][i / 64] |= UINT64_C(1) << (i % 64);
}

/* With which bytes a match can begin. */
static void note_starts(struct guard_patterns *p, size_t i)
{
    const pcre2_code *code = p->at[i].code;
    const uint8_t *bitmap = NULL;
    CHECK(pcre2_pattern_info(code, PCRE2_INFO_FIRSTBITMAP, &bitmap) == 0);
    unsigned unit = fact_of(code, PCRE2_INFO_FIRSTCODEUNIT);
    bool is_unit = fact_of(code, PCRE2_INFO_FIRSTCODETYPE) == 1 && unit < ASCII_END;
    for (unsigned byte = 0; byte < GUARD_BYTE_VALUES; byte++) {
        bool is = is_unit          ? (byte | CASE_BIT) == (unit | CASE_BIT) || byte >= ASCII_END
                  : bitmap != NULL ? (bitmap[byte / 8] >> (byte % 8) & 1) != 0
                                   : true;
        if (is) {
            add_start(p, i, byte);
        }
    }
}

enum err guard_patterns_seal(struct guard_patterns *p, char fault[GUARD_RULES_FAULT])
{
    const char *texts[GUARD_RULES_MAX];
    unsigned flags[GUARD_RULES_MAX], ids[GUARD_RULES_MAX], count = 0;
    for (size_t i = 0; i < p->count; i++) {
        note_starts(p, i);
        if (p->at[i].first == NULL) {
            p->slow[i / 64] |= UINT64_C(1) << (i % 64);
            continue;
        }
        texts[count] = p->at[i].first;
        flags[count] = FIRST_FLAGS;
        ids[count++] = (unsigned)i;
    }
    if (count == 0) {
        return ERR_OK;
    }
    hs_compile_error_t *error = NULL;
    hs_error_t said =
        hs_compile_multi(texts, flags, ids, count, HS_MODE_BLOCK, NULL, &p->database, &error);
    (void)hs_free_compile_error(error);
    return said == HS_SUCCESS          ? ERR_OK
           : said == HS_COMPILER_ERROR ? refuse(fault, "all patterns together are too large")
                                       : ERR_NO_MEMORY;
}
