/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_guard_secrets.c — keys by how they begin, secrets behind a word, private keys; what only
 * looks like one; all of it however the text is cut. No value here was ever in use.
 */
#include "guard_cases.h"

#define LONG_TOKEN                                                                     \
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIyWUJTb0dPc0RianFNVnphVnA2MkJTS0x" \
    "WUEEyb1FVUDQ0WFBTTDJvUmxQaERCdXFPU2c1QXBZelRUT2txMkJFRGJOMkFIUlE3M2w1UHVYYXkxRjZ" \
    "nY3FJbmtUWTg4bUh3ZzJLREluVEVHYk9ZMXhIdkFWOERuUmx6R1c3aFVOd09kcXJ5emRhZUE2QU9TUnd" \
    "McWdvdFZ6ODlIb1o5ekRua2k3WGVaWk9tRVBKVW8wOWp3UU8xMFkwQURzV0pQaVgxRXdZMm9yVHlScUJ" \
    "SbEVhWlVacndwUHR1RUZCTk9mUTV4ajd0MnlkZjBLNXVZOGlIMXdPTGFRYW44ZVBzcU1nTGoyb2xYQ3d" \
    "Zam41ellJa041U01ZZlE1NUpZTzF0bUZTbkhmVjFDUTRoSmgiLCJpYXQiOjE1MTYyMzkwMjJ9.H1Dr8-" \
    "h97s_F-vauP7-L7V21jxUdcfQm9_seB1qRmUx"
#define ROWS(rows) (sizeof(rows) / sizeof(rows[0]))

static void known_kinds_are_found(void **state)
{
    static const struct guard_case rows[] = {
        /* clang-format off */
        {"AKIAUJZDEGXDNCF32EPF", "secret:AKIAUJZDEGXDNCF32EPF"},
        {"ASIA3DHODZDOCIS2JHTL", "secret:ASIA3DHODZDOCIS2JHTL"},
        {"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", "secret: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"},
        {"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", "secret: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"},
        {"ghu_KY40uvSwMFLZDe1f8rESQedUStPKR04R8usr", "secret:ghu_KY40uvSwMFLZDe1f8rESQedUStPKR04R8usr"},
        {"ghs_CsTy4Qwb8DwkNhFdnXsiVpzz63FfkC2l0qFG", "secret:ghs_CsTy4Qwb8DwkNhFdnXsiVpzz63FfkC2l0qFG"},
        {"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", "secret: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"},
        {"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", "secret: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"},
        {"glpat-gVvVqE1SkHbn88HxjSI6", "secret:glpat-gVvVqE1SkHbn88HxjSI6"},
        {"xoxb-084148525388-853933633875-UbbYrEqmSM9wCZ7Uw9xfogoE", "secret:xoxb-084148525388-853933633875-UbbYrEqmSM9wCZ7Uw9xfogoE"},
        {"sk_live_mvnEN5N1aE6PwZPf1Qh6yYTW", "secret:sk_live_mvnEN5N1aE6PwZPf1Qh6yYTW"},
        {"rk_live_mE4lBYOvfZ8UzDzV8fUkkibj", "secret:rk_live_mE4lBYOvfZ8UzDzV8fUkkibj"},
        {"sk-L5DZPjN0MEQ7wjJJibaZUPgHV7iB3m03nbqnsGpWLuqIA1id", "secret:sk-L5DZPjN0MEQ7wjJJibaZUPgHV7iB3m03nbqnsGpWLuqIA1id"},
        {"sk-proj-T61qtc4xatws8phP9nhFyJfm5di4PzJ59FHz5r1pY4OjE2jBx", "secret:sk-proj-T61qtc4xatws8phP9nhFyJfm5di4PzJ59FHz5r1pY4OjE2jBx"},
        {"sk-svcacct-MptUsGr7CmY_uCu3ZR1zTOlUcR64cXQLioDnkHIfxIq2HZt-PlJhx2jIclHkx", "secret:sk-svcacct-MptUsGr7CmY_uCu3ZR1zTOlUcR64cXQLioDnkHIfxIq2HZt-PlJhx2jIclHkx"},
        {"sk-ant-api03-CiHp6bR1IqfEouHgxzNNAL5wIScGebcy8F5n3-YNBDRzrZSgqbjG3uhkWKFLf6xuI5aHUQPFeNBTxaQWk8JzFalHlsZfYAA", "secret:sk-ant-api03-CiHp6bR1IqfEouHgxzNNAL5wIScGebcy8F5n3-YNBDRzrZSgqbjG3uhkWKFLf6xuI5aHUQPFeNBTxaQWk8JzFalHlsZfYAA"},
        {"AIzacMMDktXP-tKsf2rcDkdfrUnW5gcF_Ha6ilx", "secret:AIzacMMDktXP-tKsf2rcDkdfrUnW5gcF_Ha6ilx"},
        {"hf_QHeVVEqZe2qpUWnoVPDF2yeE6RsXcNOPme", "secret:hf_QHeVVEqZe2qpUWnoVPDF2yeE6RsXcNOPme"},
        {"npm_MjvqPVStNKiaEdFrRgSnRFsTHsDDDXh5Jmtf", "secret:npm_MjvqPVStNKiaEdFrRgSnRFsTHsDDDXh5Jmtf"},
        {"pypi-AgEIcHlwaS5vcmc8cL6j5IXAAjlsHUqJoUD-_Ydua_5ZMs1SWOpQaPRYpzbLGViYXjU2JgJngKtFI3OyV2dZAkg05rK_gqv81RKMGHZEM9YpvujA-C5Q52ryFlwRlOEVHzc0X0Ax", "secret:pypi-AgEIcHlwaS5vcmc8cL6j5IXAAjlsHUqJoUD-_Ydua_5ZMs1SWOpQaPRYpzbLGViYXjU2JgJngKtFI3OyV2dZAkg05rK_gqv81RKMGHZEM9YpvujA-C5Q52ryFlwRlOEVHzc0X0Ax"},
        {"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", "secret: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"},
        {"SKd9106fd287db7f1adbc60926f6967e78", "secret:SKd9106fd287db7f1adbc60926f6967e78"},
        {"dop_v1_93f57fd14c1604d115cea325a65e19cbae530282bd36cb9d21f6be6abf0d7c1c", "secret:dop_v1_93f57fd14c1604d115cea325a65e19cbae530282bd36cb9d21f6be6abf0d7c1c"},
        {"hvs.e7ihGyiRUIQfHOJMaidDn87XG3-q-xbMtEPO6UkzYuF0ie9Pu2njHkAm1-5wDr16EpLLJIVGHz4FxFEtKyPiYGFDm7x", "secret:hvs.e7ihGyiRUIQfHOJMaidDn87XG3-q-xbMtEPO6UkzYuF0ie9Pu2njHkAm1-5wDr16EpLLJIVGHz4FxFEtKyPiYGFDm7x"},
        {"dapi130f7eb19731662b5e803b61ba416816", "secret:dapi130f7eb19731662b5e803b61ba416816"},
        {"glsa_0a0uARxlNtencYFJEeAgYzQJjOIfPkzS_8d99d19b", "secret:glsa_0a0uARxlNtencYFJEeAgYzQJjOIfPkzS_8d99d19b"},
        {"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", "secret: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"},
        {"key-3cf6941fa1c257c6f561c5cb347611a3", "secret:key-3cf6941fa1c257c6f561c5cb347611a3"},
        {"789575477:AAV54wca_7E56w8ZniqT3Ul4ffqkOkgWrdx", "secret:789575477:AAV54wca_7E56w8ZniqT3Ul4ffqkOkgWrdx"},
        {"mx4_sk_live_2eNUS0hmi4Fs9Z6YkRYU7oe1wNWqku5Nr50DjqG96EnL1gVesr", "secret:mx4_sk_live_2eNUS0hmi4Fs9Z6YkRYU7oe1wNWqku5Nr50DjqG96EnL1gVesr"},
        {"mx4_sk_test_qNGpuxcmlzkO7rRu5ykYYqhXHdO2x93CJHLS45gqIO2z49y7D5", "secret:mx4_sk_test_qNGpuxcmlzkO7rRu5ykYYqhXHdO2x93CJHLS45gqIO2z49y7D5"},
        {"mx4_ak_VZxqyxKjxvWfColNV9ds0HqtO93L7Q5uUaVcojsNOBAG2ShQhQ", "secret:mx4_ak_VZxqyxKjxvWfColNV9ds0HqtO93L7Q5uUaVcojsNOBAG2ShQhQ"},
        {"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", "secret: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"},
        {"r8_dP0J5wMPLCM7HUFpk5acdIbzlpkd6XgaNJQ8m", "secret:r8_dP0J5wMPLCM7HUFpk5acdIbzlpkd6XgaNJQ8m"},
        {"ya29.s0z1wNiMg9aW37k5wCnHDepQHgI3HLBkbvHEzuPyXQEW88ad3DNBYjvsedonx", "secret:ya29.s0z1wNiMg9aW37k5wCnHDepQHgI3HLBkbvHEzuPyXQEW88ad3DNBYjvsedonx"},
        {"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", "secret: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"},
        {"lin_api_gYWPnsuvBqbwq7sdTWx6uX9MGE2sNVbYAbBHXgwE", "secret:lin_api_gYWPnsuvBqbwq7sdTWx6uX9MGE2sNVbYAbBHXgwE"},
        {"AGE-SECRET-KEY-1D9NFSK2A8MSDAW6G6L6W7QKSNO6KHF6GUWGZZF2BXNTQ297KYO4I9CWU8J", "secret:AGE-SECRET-KEY-1D9NFSK2A8MSDAW6G6L6W7QKSNO6KHF6GUWGZZF2BXNTQ297KYO4I9CWU8J"},
        {"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIzMUNRSlZ1ayIsImlhdCI6MTUxNjIzOTAyMn0.74GDqQ7EyIMttFPSuEPyHnvnzXtsMM3JznnJAX7ebZx", "secret:eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIzMUNRSlZ1ayIsImlhdCI6MTUxNjIzOTAyMn0.74GDqQ7EyIMttFPSuEPyHnvnzXtsMM3JznnJAX7ebZx"},
        {"my key is AKIAUJZDEGXDNCF32EPF, keep it", "secret:AKIAUJZDEGXDNCF32EPF"},
        {"my key is ASIA3DHODZDOCIS2JHTL, keep it", "secret:ASIA3DHODZDOCIS2JHTL"},
        {"my key is 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, keep it", "secret: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"},
        {"my key is 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, keep it", "secret: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"},
        {"my key is ghu_KY40uvSwMFLZDe1f8rESQedUStPKR04R8usr, keep it", "secret:ghu_KY40uvSwMFLZDe1f8rESQedUStPKR04R8usr"},
        {"my key is ghs_CsTy4Qwb8DwkNhFdnXsiVpzz63FfkC2l0qFG, keep it", "secret:ghs_CsTy4Qwb8DwkNhFdnXsiVpzz63FfkC2l0qFG"},
        {"my key is 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, keep it", "secret: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"},
        {"my key is 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, keep it", "secret: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"},
        {"my key is glpat-gVvVqE1SkHbn88HxjSI6, keep it", "secret:glpat-gVvVqE1SkHbn88HxjSI6"},
        {"my key is xoxb-084148525388-853933633875-UbbYrEqmSM9wCZ7Uw9xfogoE, keep it", "secret:xoxb-084148525388-853933633875-UbbYrEqmSM9wCZ7Uw9xfogoE"},
        {"my key is sk_live_mvnEN5N1aE6PwZPf1Qh6yYTW, keep it", "secret:sk_live_mvnEN5N1aE6PwZPf1Qh6yYTW"},
        {"my key is rk_live_mE4lBYOvfZ8UzDzV8fUkkibj, keep it", "secret:rk_live_mE4lBYOvfZ8UzDzV8fUkkibj"},
        /* clang-format on */
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

static void a_known_kind_has_its_length(void **state)
{
    static const struct guard_case rows[] = {
        {"AKIAUYFDVFBNYDUALEZ", ""},
        {"AKIAJRWIJFNBKANSUSBPS", ""},
        {"xAKIAQBDYZNSWMOCAVMTS", ""},
        {"AKIAIOSFODNN7EXAMPLE", ""},
        {"ghp_short", ""},
        {"sk-...", ""},
        {"sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", ""},
        {"sk-your-key-here", ""},
        {"sk_live_<YOUR_KEY>", ""},
        {"hf_your_token_goes_in_here_and_nowhere_else", ""},
        {"eyJhbGciOiJIUzI1NiJ9 alone is half of it", ""},
        {"the disk-based task-oriented risk-free approach", ""},
        {"commit 3f786850e387550fdab836ed7e6dc881de23001b", ""},
        {"550e8400-e29b-41d4-a716-446655440000", ""},
        {"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", ""},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

static void a_word_says_what_follows(void **state)
{
    static const struct guard_case rows[] = {
        {"password: Tr0ub4dor&3", "secret:Tr0ub4dor&3"},
        {"Password: hunter2", "secret:hunter2"},
        {"my password is Summer2024!", "secret:Summer2024!"},
        {"DB_PASSWORD=s3cr3tPa55", "secret:s3cr3tPa55"},
        {"{\"password\": \"corr3ct horse\", \"user\": \"ali\"}", "secret:corr3ct horse"},
        {"{\\\"password\\\": \\\"Zx81spec\\\"}", "secret:Zx81spec"},
        {"<password>Zx81spec</password>", "secret:Zx81spec"},
        {"user=ali;password=Zx81spec;host=db", "secret:Zx81spec"},
        {"pwd='Zx81spec'", "secret:Zx81spec"},
        {"--password Zx81spec --host db", "secret:Zx81spec"},
        {"passcode: 482915", "secret:482915"},
        {"كلمة المرور: Riyadh@2030", "secret:Riyadh@2030"},
        {"كلمة المرور هي س3ر7سر", "secret:س3ر7سر"},
        {"كلمة السر = 74839201", "secret:74839201"},
        {"الرقم السري: ٤٨٢٩", "secret:٤٨٢٩"},
        {"api_key = \"q8Zr2LmX0vTn5WcYb1Hd\"", "secret:q8Zr2LmX0vTn5WcYb1Hd"},
        {"API-Key: q8Zr2LmX0vTn5WcYb1Hd", "secret:q8Zr2LmX0vTn5WcYb1Hd"},
        {"apiKey: 'q8Zr2LmX0vTn5WcYb1Hd'", "secret:q8Zr2LmX0vTn5WcYb1Hd"},
        {"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYq8Zr2LmX0vTn",
         "secret:wJalrXUtnFEMIK7MDENGbPxRfiCYq8Zr2LmX0vTn"},
        {"https://h.sa/x?token=q8Zr2LmX0vTn5WcYb1Hd&y=1", "secret:q8Zr2LmX0vTn5WcYb1Hd"},
        {"client_secret: q8Zr2LmX0vTn5WcYb1Hd.", "secret:q8Zr2LmX0vTn5WcYb1Hd"},
        {"access_token=550e8400-e29b-41d4-a716-446655440000",
         "secret:550e8400-e29b-41d4-a716-446655440000"},
        {"Authorization: Bearer q8Zr2LmX0vTn5WcYb1Hd", "secret:q8Zr2LmX0vTn5WcYb1Hd"},
        {"Authorization: Basic YWxpOlp4ODFzcGVj", "secret:YWxpOlp4ODFzcGVj"},
        {"AccountName=x;AccountKey="
         "vEXHJX6nsBvBqJd0ssw0FzvGr3GwnPFYhvmuTtiLOfYczUJ4zIKdztgacm06EMXQdYG6INyNjORSSM4RfncQOD==",
         "secret:"
         "vEXHJX6nsBvBqJd0ssw0FzvGr3GwnPFYhvmuTtiLOfYczUJ4zIKdztgacm06EMXQdYG6INyNjORSSM4RfncQOD="
         "="},
        {"pass\xC2\xADword: hun\xE2\x80\x8Bter2", "secret:hun\xE2\x80\x8Bter2"},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

static void what_stands_for_a_secret_is_none(void **state)
{
    static const struct guard_case rows[] = {
        {"password: <YOUR_PASSWORD>", ""},
        {"password: xxxxxxxx", ""},
        {"password: ********", ""},
        {"password = changeme", ""},
        {"PASSWORD=${DB_PASSWORD}", ""},
        {"password: {{ password }}", ""},
        {"password = os.environ['DB_PASS1']", ""},
        {"password = getpass()", ""},
        {"api_key = process.env.API_KEY_2", ""},
        {"api_key: YOUR_API_KEY_123456789", ""},
        {"token: string", ""},
        {"password: str = None", ""},
        {"the password is incorrect", ""},
        {"Password: required", ""},
        {"reset your password: https://example.com/reset1", ""},
        {"The token is invalid or expired.", ""},
        {"max_tokens: 4096", ""},
        {"token: 42", ""},
        {"password == other1", ""},
        {"The secret: practise every day", ""},
        {"a bearer of good news", ""},
        {"Keep your password secret", ""},
        {"كلمة المرور غير صحيحة", ""},
        {"كلمة المرور مطلوبة", ""},
        {"نسيت كلمة المرور", ""},
        {"كلمة السر في النجاح: الصبر", ""},
        {"key: value", ""},
        {"primary_key = id", ""},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

static void keys_in_lines_are_found(void **state)
{
    static const struct guard_case rows[] = {
        {"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----\nbye",
         "private_key:-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE "
         "KEY-----"},
        {"-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
         "private_key:-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----"},
        {"x -----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA",
         "private_key:-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA"},
        {"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQdGBF\n-----END PGP PRIVATE KEY BLOCK-----.",
         "private_key:-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQdGBF\n-----END PGP PRIVATE KEY "
         "BLOCK-----"},
        {"-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----", ""},
        {"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", ""},
        {"BEGIN PRIVATE KEY", ""},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

/* Longer than what a place sees: all of it is covered all the same. */
static void a_long_token_is_covered(void **state)
{
    static const char token[] = LONG_TOKEN;
    static const struct guard_case rows[] = {
        {LONG_TOKEN " and more", "secret:" LONG_TOKEN},
        {"Bearer " LONG_TOKEN ", so", "secret:" LONG_TOKEN},
        {"(" LONG_TOKEN ")", "secret:" LONG_TOKEN},
    };
    (void)state;
    assert_true(sizeof(token) > 2 * GUARD_VALUE_BYTES);
    case_check_all(rows, ROWS(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_kinds_are_found),
        cmocka_unit_test(a_known_kind_has_its_length),
        cmocka_unit_test(a_word_says_what_follows),
        cmocka_unit_test(what_stands_for_a_secret_is_none),
        cmocka_unit_test(keys_in_lines_are_found),
        cmocka_unit_test(a_long_token_is_covered),
    };
    case_wanted.types = 1u << GUARD_SECRET | 1u << GUARD_PRIVATE_KEY;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
