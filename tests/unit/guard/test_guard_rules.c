/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_guard_rules.c — an operator's patterns, word lists and dictionaries: what is refused, and
 * with what words; what is found, however the text is cut.
 */
#include "guard_cases.h"

#include <stdlib.h>
#include <time.h>

#include "guard/guard_rules.h"

#define MANY         100000
#define WORD_ROOM    40
#define SECONDS_MOST 20

static struct guard_rules *make(const struct guard_rule_source *sources, size_t count)
{
    char fault[GUARD_RULES_FAULT];
    size_t which;
    struct guard_rules *r = NULL;
    enum err e = guard_rules_new(sources, count, GUARD_BUILTINS, fault, &which, &r);
    if (e != ERR_OK) {
        fail_msg("rule %zu: %s", which, fault);
    }
    return r;
}

static void check_rows(enum guard_rule_kind kind, const char *text, const struct guard_case *rows,
                       size_t count)
{
    struct guard_rule_source source = {kind, SPAN("own"), span_of(text)};
    struct guard_rules *r = make(&source, 1);
    case_wanted.rules[0] = r;
    case_check_all(rows, count);
    case_wanted.rules[0] = NULL;
    guard_rules_unref(&r);
}

static void refuses(enum guard_rule_kind kind, struct span name, struct span text, const char *why)
{
    struct guard_rule_source sources[] = {{GUARD_RULE_WORDLIST, SPAN("first"), SPAN("x")},
                                          {kind, name, text}};
    char fault[GUARD_RULES_FAULT] = "";
    size_t which = 0;
    struct guard_rules *r = NULL;
    enum err e = guard_rules_new(sources, 2, GUARD_BUILTINS, fault, &which, &r);
    if (e != ERR_CONFIG || r != NULL || which != 1 || strstr(fault, why) == NULL) {
        fail_msg("\"%.*s\": error %d, rule %zu, \"%s\" instead of \"%s\"", SPAN_ARGS(text), (int)e,
                 which, fault, why);
    }
}

static void bad_patterns_are_refused(void **state)
{
    static const struct {
        const char *pattern, *why;
    } rows[] = {
        {"", "1 to 1024 bytes"},
        {"a+b", "at byte 2: a repeat without end, `+`: bound it, as in {1,64}"},
        {"a*b", "a repeat without end"},
        {"a{2,}b", "a repeat without end, `{2,}`"},
        {"x.*", "a repeat without end"},
        {"(a|b", "at byte 5: missing closing parenthesis"},
        {"[a-", "missing terminating ]"},
        {"a?", "matches where there is nothing"},
        {"[[:alpha:x]", "at byte 2: `[:` in a class begins a name"},
        {"^", "matches where there is nothing"},
        {"(?=a)", "matches where there is nothing"},
        {"(a)\\1", "references back"},
        {"(?<n>a)\\k<n>", "references back"},
        {"(?<n>a)(?P=n)", "references back"},
        {"(a)\\g1", "references back"},
        {"(?R)a", "recursion"},
        {"(a(?1)?)", "recursion"},
        {"(?<n>a(?&n)?)", "recursion"},
        {"a(?C1)b", "callouts"},
        {"a\\Cb", "\\C"},
        {"a\\Kb", "\\K"},
        {"\\X", "\\X"},
        {"a\\Z", "\\Z is not supported"},
        {"(?(?=a)ab|c)", "conditions"},
        {"(*UTF)a", "verbs"},
        {"a(*SKIP)b", "verbs"},
        {"(?x) a b", "of options there are i, m and s"},
        {"a(?#b)", "comments"},
        {"(?<=a{1,40}b)c", "lookbehind"},
        {"(?<=.{40})c", "looks back more than 31 characters"},
        {"a.{0,300}b", "can match 1202 bytes"},
        {"[0-9]{257}", "can match 257 bytes"},
        {"\\d{3}(?=.{0,100}x)", "256 are the most"},
        {"(a{1,20}){1,12}b", "can take very long"},
        {"x(a{1,9}|b){1,20}y", "can take very long"},
        {"(a|a){1,60}b", "can take very long"},
        {"a{1,64}a{1,64}a{1,64}b", "can take very long"},
        {"(ab?|b?a){1,50}c", "can take very long"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        refuses(GUARD_RULE_PATTERN, SPAN("own"), span_of(rows[i].pattern), rows[i].why);
    }
    refuses(GUARD_RULE_PATTERN, SPAN("own"), SPAN("a\xFF"), "UTF-8 error");
    refuses(GUARD_RULE_PATTERN, SPAN("own"), SPAN("a\0b"), "no NUL");
}

static void bad_lists_are_refused(void **state)
{
    static char long_line[GUARD_VALUE_BYTES + 2];
    memset(long_line, 'a', sizeof(long_line) - 1);
    (void)state;
    refuses(GUARD_RULE_WORDLIST, SPAN("own"), SPAN("one\ntw\xFFo\n"), "line 2: it is not UTF-8");
    refuses(GUARD_RULE_DICTIONARY, SPAN("own"), span_of(long_line), "longer than 256 bytes");
    refuses(GUARD_RULE_WORDLIST, SPAN("Own"), SPAN("x"), "a name has");
    refuses(GUARD_RULE_WORDLIST, SPAN(""), SPAN("x"), "a name has");
    refuses(GUARD_RULE_WORDLIST, SPAN("a234567890123456789012345678901x"), SPAN("x"), "a name has");
    refuses(GUARD_RULE_WORDLIST, SPAN("email"), SPAN("x"), "built-in");
    refuses(GUARD_RULE_WORDLIST, SPAN("default"), SPAN("x"), "default");
    refuses(GUARD_RULE_WORDLIST, SPAN("first"), SPAN("x"), "another rule");
}

static void rules_have_types(void **state)
{
    static const struct guard_rule_source sources[] = {
        {GUARD_RULE_PATTERN, {(const uint8_t *)"code", 4}, {(const uint8_t *)"PRJ-[0-9]{6}", 12}},
        {GUARD_RULE_WORDLIST, {(const uint8_t *)"names", 5}, {(const uint8_t *)"falcon", 6}},
        {GUARD_RULE_DICTIONARY, {(const uint8_t *)"clients", 7}, {(const uint8_t *)"", 0}},
    };
    (void)state;
    struct guard_rules *r = make(sources, ROWS(sources)), *same = guard_rules_ref(r);
    assert_int_equal(guard_rules_count(r), 3);
    assert_int_equal(guard_rules_first(r), GUARD_BUILTINS);
    assert_int_equal(guard_rules_find(r, SPAN("names")), GUARD_BUILTINS + 1);
    assert_int_equal(guard_rules_find(r, SPAN("other")), GUARD_TYPES_MAX);
    assert_true(span_is(guard_rules_name(r, GUARD_BUILTINS + 2), "clients"));
    assert_int_equal(guard_rules_kind(r, GUARD_BUILTINS), GUARD_RULE_PATTERN);
    guard_rules_unref(&r);
    assert_null(r);
    guard_rules_unref(&same);
    guard_rules_unref(&same);
    r = make(NULL, 0);
    assert_int_equal(guard_rules_count(r), 0);
    guard_rules_unref(&r);
}

static void patterns_are_found(void **state)
{
    static const struct guard_case codes[] = {
        {"see PRJ-123456 and PRJ-1234567, not PRJ-12345", ":PRJ-123456|:PRJ-123456"},
        {"PRJ-123456", ":PRJ-123456"},
        {"PRJ-١٢٣٤٥٦", ":PRJ-١٢٣٤٥٦"},
        {"P\xE2\x80\x8BRJ-12\xE2\x80\x8B"
         "3456",
         ":P\xE2\x80\x8BRJ-12\xE2\x80\x8B"
         "3456"},
        {"PRJ-123456PRJ-123456", ":PRJ-123456|:PRJ-123456"},
        {"prj-123456", ""},
        {"PRJ-", ""},
    };
    static const struct guard_case words[] = {
        {"a PRJ-123456.", ":PRJ-123456"},
        {"xPRJ-123456 PRJ-1234567", ""},
        {"سPRJ-123456", ""},
        {"س PRJ-123456", ":PRJ-123456"},
    };
    static const struct guard_case lengths[] = {
        {"id 123456 1234567890 12345678901", ":123456|:1234567890"},
        {"12345", ""},
    };
    static const struct guard_case cases[] = {
        {"Case 12, CASE-77 and case99x", ":Case 12|:CASE-77"},
    };
    static const struct guard_case lines[] = {
        {"SECRET one\nno SECRET two\nSECRET three", ":SECRET one|:SECRET three"},
    };
    static const struct guard_case whole[] = {{"abc", ":abc"}, {"abc\n", ""}, {"xabc", ""}};
    static const struct guard_case arabic[] = {
        {"رقم سري-123 هنا", ":سري-123"},
        {"abc-123", ""},
    };
    static const struct guard_case alternatives[] = {{"a abc abd", ":abc|:abd"}};
    (void)state;
    check_rows(GUARD_RULE_PATTERN, "PRJ-[0-9]{6}", codes, ROWS(codes));
    check_rows(GUARD_RULE_PATTERN, "\\bPRJ-\\d{6}\\b", words, ROWS(words));
    check_rows(GUARD_RULE_PATTERN, "(?<![0-9])[0-9]{6,10}(?![0-9])", lengths, ROWS(lengths));
    check_rows(GUARD_RULE_PATTERN, "(?i)\\bcase[ -]\\d{1,6}\\b", cases, ROWS(cases));
    check_rows(GUARD_RULE_PATTERN, "(?m)^SECRET \\w{1,20}$", lines, ROWS(lines));
    check_rows(GUARD_RULE_PATTERN, "^abc$", whole, ROWS(whole));
    check_rows(GUARD_RULE_PATTERN, "[\\p{Arabic}]{3,10}-[0-9]{3}", arabic, ROWS(arabic));
    check_rows(GUARD_RULE_PATTERN, "(?|ab(c)|ab(d))", alternatives, ROWS(alternatives));
}

/* Each kind of thing that a pattern may have, told to Vectorscan in other words. */
static void all_constructs_are_found(void **state)
{
    static const struct {
        const char *pattern, *text, *found;
    } rows[] = {
        {"\\Qa+b(\\E", "xa+b(", ":a+b("},
        {"a\\.b\\-c", "a.b-c", ":a.b-c"},
        {"\\x41\\x{42}[\\x43D]", "ABC ABD", ":ABC|:ABD"},
        {"[[:alpha:]]{2}\\d", "xy7", ":xy7"},
        {"[^,;]{2},", "a,bc,", ":bc,"},
        {"[\\w-]{3}!", "a-b!", ":a-b!"},
        {"[]x]{2}", "]x", ":]x"},
        {"[^]x]{2}", "]ab", ":ab"},
        {"\\W\\w{2}\\W", "(ab)", ":(ab)"},
        {"\\pL\\p{Nd}\\PL", "ص7-", ":ص7-"},
        {"a.c", "aصc abc", ":aصc|:abc"},
        {"(?:ab){2,3}c", "xababc", ":ababc"},
        {"(?>ab|a)c", "abc ac", ":abc|:ac"},
        {"x{1,3}+y", "xxxy", ":xxxy"},
        {"a{1,3}?b", "aab", ":aab"},
        {"a{b}{2}", "a{b}}", ":a{b}}"},
        {"(?<name>ab)(?'other'c)(?P<last>d)", "abcd", ":abcd"},
        {"(?i:ab)c", "ABc ABC", ":ABc"},
        {"(?i)ÉCOLE", "école", ":école"},
        {"a(?=b)", "ac ab", ":a"},
        {"(?<=x)a(?!c)", "xac xab", ":a"},
        {"\\Ba\\B", "a bab", ":a"},
        {"[ء-ي]{2}[a-c]", "سلb", ":سلb"},
        {"\\tX\\sY", "\tX Y", ":\tX Y"},
        {"colou?r", "color colour", ":color|:colour"},
        {"[٠-٩]{3}", "٤٥٦ 789", ":٤٥٦|:789"},
        {"\\$[0-9]{2}\\^\\|", "$12^|", ":$12^|"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct guard_case row = {rows[i].text, rows[i].found};
        check_rows(GUARD_RULE_PATTERN, rows[i].pattern, &row, 1);
    }
}

/* What is slow over texts that were not tried is taken for found, and does not take long. */
static void what_takes_long_is_bounded(void **state)
{
    static char text[1 << 16];
    struct guard_rule_source source = {GUARD_RULE_PATTERN, SPAN("own"),
                                       SPAN("(?:abc|ab|c){1,60}d")};
    struct guard_rules *r = make(&source, 1);
    struct guard_scratch *w;
    struct guard_scan scan;
    struct guard_out out;
    (void)state;
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = "abc"[i % 3];
    }
    text[sizeof(text) - 1] = 'd';
    assert_int_equal(guard_scratch_new(&w), ERR_OK);
    struct guard_wanted wanted = {.rules = {r, NULL}};
    guard_scan_begin(&scan, &wanted);
    clock_t start = clock();
    assert_int_equal(guard_scan_feed(&scan, w, span_make(text, sizeof(text)), true, &out), ERR_OK);
    assert_true(out.count > 0);
    assert_true((clock() - start) / CLOCKS_PER_SEC < SECONDS_MOST);
    guard_scratch_free(&w);
    guard_rules_unref(&r);
}

static void words_are_found(void **state)
{
    static const char list[] = "\xEF\xBB\xBF# names of projects\r\n"
                               "Falcon\r\n"
                               "  blue   falcon \n"
                               "\n"
                               "new york city\n"
                               "new york\n"
                               "C++\n"
                               "AT&T\n"
                               "مشروع الأحمد\n"
                               "شركة\n"
                               "الهدى\n"
                               "Zürich\n"
                               "ЮКОС";
    static const struct guard_case rows[] = {
        {"the FALCON, falcon; falcons", ":FALCON|:falcon"},
        {"a Blue  Falcon and a blue\nfalcon", ":Blue  Falcon|:blue\nfalcon"},
        {"New York City is in New York state", ":New York City|:New York"},
        {"new york cit", ":new york"},
        {"news yorks", ""},
        {"we use c++ and C++20", ":c++|:C++"},
        {"at&t AT & T", ":at&t"},
        {"مشروع الاحمد وشركه", ":مشروع الاحمد"},
        {"شَرِكَة كبيرة", ":شَرِكَة"},
        {"شـــركة", ":شـــركة"},
        {"الهدي والهُدى الهدىx", ":الهدي"},
        {"fal\xE2\x80\x8B"
         "con",
         ":fal\xE2\x80\x8B"
         "con"},
        {"ZÜRICH юкос", ":ZÜRICH|:юкос"},
        {"# names", ""},
        {"falcon_1 falcon-2 (falcon)", ":falcon|:falcon|:falcon"},
    };
    (void)state;
    check_rows(GUARD_RULE_WORDLIST, list, rows, ROWS(rows));
}

static void a_dictionary_has_case(void **state)
{
    static const char list[] = "Acme Ltd\nSAR\nعميل أول";
    static const struct guard_case rows[] = {
        {"Acme Ltd, ACME LTD, acme ltd, Acme  Ltd", ":Acme Ltd|:Acme  Ltd"},
        {"SAR sar Sar", ":SAR"},
        {"عميل أول عميل اول", ":عميل أول"},
    };
    (void)state;
    check_rows(GUARD_RULE_DICTIONARY, list, rows, ROWS(rows));
}

/* Entry by entry, of a hundred thousand. */
static void many_words_are_found(void **state)
{
    char *text = malloc((size_t)MANY * WORD_ROOM);
    size_t len = 0, found = 0;
    (void)state;
    assert_non_null(text);
    for (unsigned i = 0; i < MANY; i++) {
        len += (size_t)snprintf(text + len, WORD_ROOM, "client%u%s\n", i * 7919u,
                                i % 3 == 0 ? " holding company" : "");
    }
    struct guard_rule_source source = {GUARD_RULE_DICTIONARY, SPAN("own"), span_make(text, len)};
    struct guard_rules *r = make(&source, 1);
    struct guard_scratch *w;
    struct guard_scan scan;
    struct guard_out out;
    struct guard_wanted wanted = {.rules = {r, NULL}};
    assert_int_equal(guard_scratch_new(&w), ERR_OK);
    guard_scan_begin(&scan, &wanted);
    for (size_t at = 0; at < len; at += 16384) {
        struct span piece = span_cut(span_make(text, len), at, 16384);
        assert_int_equal(guard_scan_feed(&scan, w, piece, at + piece.len == len, &out), ERR_OK);
        found += out.count;
    }
    assert_int_equal(found, MANY);
    guard_scratch_free(&w);
    guard_rules_unref(&r);
    free(text);
}

/* Two owners' rules side by side, and one scratch for both. */
static void two_owners_are_heard(void **state)
{
    struct guard_rule_source ours = {GUARD_RULE_PATTERN, SPAN("code"), SPAN("PRJ-[0-9]{6}")};
    struct guard_rule_source theirs[] = {{GUARD_RULE_PATTERN, SPAN("ticket"), SPAN("T[0-9]{4}")},
                                         {GUARD_RULE_WORDLIST, SPAN("names"), SPAN("falcon")}};
    char fault[GUARD_RULES_FAULT];
    size_t which;
    struct guard_case row = {"PRJ-123456 T1234 Falcon", ":PRJ-123456|:T1234|:Falcon"};
    (void)state;
    case_wanted.rules[0] = make(&ours, 1);
    struct guard_rules *team = NULL;
    assert_int_equal(guard_rules_new(theirs, 2, GUARD_TEAM_FIRST, fault, &which, &team), ERR_OK);
    assert_int_equal(guard_rules_find(team, SPAN("names")), GUARD_TEAM_FIRST + 1);
    case_wanted.rules[1] = team;
    case_check_all(&row, 1);
    struct guard_rules *gateway = make(&ours, 1);
    guard_rules_unref(&gateway);
    guard_rules_unref(&team);
    case_wanted.rules[1] = NULL;
}

/* Vectorscan 5.4.9 does not tell of some matches that end with the last of 16 to 33 bytes. */
static void a_match_that_ends_the_text_is_found_whatever_its_length(void **state)
{
    static const char *const patterns[] = {"\\Qa+\\E[^],]{2}\\x41|(?<=b)c{2}?", "(?<=b)cc", "b?cc",
                                           "[bc]{3}", "bcc"};
    char text[80];
    struct guard_scratch *w = NULL;
    (void)state;
    assert_int_equal(guard_scratch_new(&w), ERR_OK);
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        struct guard_rule_source source = {GUARD_RULE_PATTERN, SPAN("own"), span_of(patterns[i])};
        struct guard_rules *r = make(&source, 1);
        const struct guard_wanted wanted = {.rules = {r, NULL}};
        for (size_t before = 0; before < 70; before++) {
            struct guard_scan scan;
            struct guard_out out;
            memset(text, 'x', before);
            memcpy(text + before, " bcc", 4);
            guard_scan_begin(&scan, &wanted);
            assert_int_equal(guard_scan_feed(&scan, w, span_make(text, before + 4), true, &out),
                             ERR_OK);
            assert_int_equal(out.count, 1);
        }
        guard_rules_unref(&r);
    }
    guard_scratch_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_patterns_are_refused),
        cmocka_unit_test(bad_lists_are_refused),
        cmocka_unit_test(rules_have_types),
        cmocka_unit_test(patterns_are_found),
        cmocka_unit_test(all_constructs_are_found),
        cmocka_unit_test(what_takes_long_is_bounded),
        cmocka_unit_test(a_match_that_ends_the_text_is_found_whatever_its_length),
        cmocka_unit_test(words_are_found),
        cmocka_unit_test(a_dictionary_has_case),
        cmocka_unit_test(many_words_are_found),
        cmocka_unit_test(two_owners_are_heard),
    };
    case_wanted.types = 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
