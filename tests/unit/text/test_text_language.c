/* SPDX-License-Identifier: Apache-2.0 */
/* test_text_language.c — which language a text is in. */
#include "unit.h"

#include "text/text_language.h"

static void a_text_has_the_language_of_its_letters_and_words(void **state)
{
    (void)state;
    static const struct {
        const char *text, *language, *script;
    } rows[] = {
        {"ما هي عاصمة السعودية؟", "ar", "Arab"},
        {"اكتب رسالة شكر", "ar", "Arab"},
        {"السلام عليكم", "ar", "Arab"},
        {"مرحبا", "ar", "Arab"},
        {"شلونك عساك بخير", "ar", "Arab"},
        {"پایتخت ایران کجاست؟", "fa", "Arab"},
        {"سلام، چطوری؟", "fa", "Arab"},
        {"پاکستان کا دارالحکومت کیا ہے؟", "ur", "Arab"},
        {"شکریہ", "ur", "Arab"},
        {"د افغانستان پلازمېنه کومه ده؟ ښه", "ps", "Arab"},
        {"پایتەختی کوردستان کوێیە؟", "ckb", "Arab"},
        {"What is the capital of Saudi Arabia?", "en", "Latn"},
        {"Summarize this", "en", "Latn"},
        {"Quelle est la capitale de la France ?", "fr", "Latn"},
        {"¿Cuál es la capital de España?", "es", "Latn"},
        {"Was ist die Hauptstadt von Deutschland?", "de", "Latn"},
        {"Türkiye'nin başkenti neresidir ve nüfusu kaç?", "tr", "Latn"},
        {"Apa ibu kota negara Indonesia dan berapa penduduknya?", "id", "Latn"},
        {"Ano ang kabisera ng Pilipinas?", "tl", "Latn"},
        {"shlonak ya 7abibi", "ar", "Latn"},
        {"3ayez a3raf el forn sho3'al wala la2", "ar", "Latn"},
        {"ana mesh fahem", "ar", "Latn"},
        {"Buy 2 mp3 players for the 3rd of May at 5pm", "en", "Latn"},
        {"3f2b7a9e-5c1d-4e2a-9b7f-2a5d3c7e9f1b", "und", "Latn"},
        {"What is 3f2b7a9e-5c1d-4e2a-9b7f-2a5d3c7e9f1b", "en", "Latn"},
        {"Look up order 7a3b5", "en", "Latn"},
        {"color #3a7f5e", "und", "Latn"},
        {"https://example.com/a/b?c=d", "en", "Latn"}, /* a guess */
        {"Какая столица России?", "ru", "Cyrl"},
        {"Яка столиця України і її населення?", "uk", "Cyrl"},
        {"中国的首都是哪里？", "zh", "Hani"},
        {"日本の首都はどこですか", "ja", "Hani"},
        {"대한민국의 수도는?", "ko", "Kore"},
        {"भारत की राजधानी क्या है?", "hi", "Deva"},
        {"מה בירת ישראל?", "he", "Hebr"},
        {"የኢትዮጵያ ዋና ከተማ", "am", "Ethi"},
        {"1 + 1 = 2?", "und", "Zyyy"},
        {"", "und", "Zyyy"},
        {"\xD8", "und", "Zyyy"},
        {"اشرح معنى API gateway باختصار شديد للمبتدئين", "ar", "Arab"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct text_language found = text_language_of(span_of(rows[r].text));
        if (strcmp(found.language, rows[r].language) != 0 ||
            strcmp(found.script, rows[r].script) != 0) {
            fail_msg("%s: %s %s %d", rows[r].text, found.language, found.script, found.permille);
        }
        assert_in_range(found.permille, 0, 1000);
    }
}

static void what_is_mixed_or_short_is_less_sure(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int least, most;
    } rows[] = {
        {"ما هي عاصمة السعودية؟", 1000, 1000},
        {"سلام", 700, 700}, /* Persian says so, too */
        {"كيف أستخدم docker compose up", 200, 600},
        {"What is the capital of Saudi Arabia?", 900, 1000},
        {"blue sky", 300, 300},
        {"12345", 0, 0},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        int permille = text_language_of(span_of(rows[r].text)).permille;
        if (permille < rows[r].least || permille > rows[r].most) {
            fail_msg("%s: %d", rows[r].text, permille);
        }
    }
}

static void a_dialect_is_told_by_its_words(void **state)
{
    (void)state;
    static const struct {
        const char *text, *dialect;
    } rows[] = {
        {"إزيك؟ عايز أعرف ده بكام", "egy"},
        {"شلونك؟ أبغى أعرف وش السعر الحين", "glf"},
        {"شو بدك هلق؟ كتير منيح", "lev"},
        {"واش بغيتي دابا؟ بزاف", "mag"},
        {"ما هي عاصمة السعودية؟", "msa"},
        {"عَـايِـز أعرف", "egy"},
        {"", "msa"},
        {"عايز وش", "msa"},  /* of two as much: neither */
        {"ازاي", "egy"},     /* the first of its list, */
        {"مزيان", "mag"},    /* the last, */
        {"شنو شلون", "glf"}, /* and one that two have: the other word decides */
        {"ازايييييييييييييييييييييييييييييي", "msa"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        const char *dialect = text_dialect_of(span_of(rows[r].text));
        if (strcmp(dialect, rows[r].dialect) != 0) {
            fail_msg("%s: %s", rows[r].text, dialect);
        }
    }
}

static void only_the_beginning_of_a_long_text_counts(void **state)
{
    (void)state;
    char text[TEXT_LANGUAGE_BYTES * 3];
    static const char part[] = "the cat ";
    for (size_t at = 0; at < sizeof(text); at += 8) {
        memcpy(text + at, part, 8);
    }
    memset(text + TEXT_LANGUAGE_BYTES, 0xFF, TEXT_LANGUAGE_BYTES * 2);
    struct text_language found = text_language_of(span_make(text, sizeof(text)));
    assert_string_equal(found.language, "en");
    assert_string_equal(text_dialect_of(span_make(text, sizeof(text))), "msa");
}

/* What is no UTF-8, or is cut within a character, is read without harm. */
static void any_bytes_have_some_language(void **state)
{
    (void)state;
    uint8_t text[64];
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof(text); i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = (uint8_t)(seed >> 24);
        }
        struct text_language found = text_language_of(span_make(text, seed % sizeof(text)));
        assert_non_null(found.language);
        assert_non_null(text_dialect_of(span_make(text, seed % sizeof(text))));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_has_the_language_of_its_letters_and_words),
        cmocka_unit_test(what_is_mixed_or_short_is_less_sure),
        cmocka_unit_test(a_dialect_is_told_by_its_words),
        cmocka_unit_test(only_the_beginning_of_a_long_text_counts),
        cmocka_unit_test(any_bytes_have_some_language),
    };
    return cmocka_run_group_tests_name("text_language", tests, NULL, NULL);
}
