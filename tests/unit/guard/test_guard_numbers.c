/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard_numbers.c — numbers that name a person or an account, and those that do not. */
#include "guard_cases.h"

static void ids_are_found(void **state)
{
    static const struct guard_case rows[] = {
        {"my id is 1000000008", "saudi_id:1000000008"},
        {"هويتي ١٠٠٠٠٠٠٠٠٨ وشكرا", "saudi_id:١٠٠٠٠٠٠٠٠٨"},
        {"1000000008", "saudi_id:1000000008"},
        {"رقم الهوية:1000000008.", "saudi_id:1000000008"},
        {"iqama 2000000006", "iqama:2000000006"},
        {"إقامة رقم ۲۰۰۰۰۰۰۰۰۶", "iqama:۲۰۰۰۰۰۰۰۰۶"},
        {"هويتي １０００００ـ０００８", "saudi_id:１０００００ـ０００８"},
        {"10\u200B00000\u200F008\u200B!", "saudi_id:10\u200B00000\u200F008"},
        {"id 1000000009", ""},
        {"order 1000000008", ""},
        {"invoice no. 1000000008", ""},
        {"order id: 1000000008", ""},
        {"رقم الطلب 1000000008", ""},
        {"الفاتورة 1000000008", ""},
        {"ORD-1000000008 and x1000000008 and 1000000008x 1.1000000008", ""},
        {"11000000008", ""},
        {"784-1984-1234567-4", "emirates_id:784-1984-1234567-4"},
        {"784198412345674", "emirates_id:784198412345674"},
        {"Emirates ID 784-1984-1234567-1", "emirates_id:784-1984-1234567-1"},
        {"784-1984-1234567-1", ""},
        {"QID 29063412345", "qatar_id:29063412345"},
        {"الرقم الشخصي القطري 29063412345", "qatar_id:29063412345"},
        {"ref 29063412345", ""},
        {"civil id 290010112346", "kuwait_id:290010112346"},
        {"290010112346", "kuwait_id:290010112346"},
        {"290010112345", ""},
        {"CPR 900112345", "bahrain_id:900112345"},
        {"900112345", ""},
        {"الرقم المدني العماني 12345678", "oman_id:12345678"},
        {"12345678", ""},
        {"29001011234567", "egypt_id:29001011234567"},
        {"الرقم القومي ٢٩٠٠١٠١١٢٣٤٥٦٧", "egypt_id:٢٩٠٠١٠١١٢٣٤٥٦٧"},
        {"20240115123045", ""},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

static void cards_are_found(void **state)
{
    static const struct guard_case rows[] = {
        {"my card is 4111111111111111 ok", "credit_card:4111111111111111"},
        {"4111 1111 1111 1111", "credit_card:4111 1111 1111 1111"},
        {"اعتراض على عملية بالبطاقة 4111111111111111", "credit_card:4111111111111111"},
        {"4111-1111-1111-1111.", "credit_card:4111-1111-1111-1111"},
        {"٤١١١ ١١١١ ١١١١ ١١١١", "credit_card:٤١١١ ١١١١ ١١١١ ١١١١"},
        {"amex 3782 822463 10005", "credit_card:3782 822463 10005"},
        {"4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "credit_card:4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"},
        {"card 4111111111111112", ""},
        {"tracking 4111111111111111", ""},
        {"a4111111111111111 41111111111111111 4111111111111111.5", ""},
        {"x,4111111111111111,5", "credit_card:4111111111111111"},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

static void ibans_are_found(void **state)
{
    static const struct guard_case rows[] = {
        {"IBAN SA0380000000608010167519", "iban:SA0380000000608010167519"},
        {"SA03 8000 0000 6080 1016 7519", "iban:SA03 8000 0000 6080 1016 7519"},
        {"sa0380000000608010167519.", "iban:sa0380000000608010167519"},
        {"آيبان SA٠٣٨٠٠٠٠٠٠٠٦٠٨٠١٠١٦٧٥١٩", "iban:SA٠٣٨٠٠٠٠٠٠٠٦٠٨٠١٠١٦٧٥١٩"},
        {"AE070331234567890123456", "iban:AE070331234567890123456"},
        {"GB29 NWBK 6016 1331 9268 19", "iban:GB29 NWBK 6016 1331 9268 19"},
        {"SA0380000000608010167518", ""},
        {"xSA0380000000608010167519", ""},
        {"SA03800000006080101675191", ""},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

static void phones_are_found(void **state)
{
    static const struct guard_case rows[] = {
        {"+966501234567", "phone:+966501234567"},
        {"call +966 50 123 4567 now", "phone:+966 50 123 4567"},
        {"(+966) 50-123-4567", "phone:(+966) 50-123-4567"},
        {"+966 (0)50 123 4567", "phone:+966 (0)50 123 4567"},
        {"00966501234567", "phone:00966501234567"},
        {"0501234567", "phone:0501234567"},
        {"جوالي ٠٥٠١٢٣٤٥٦٧", "phone:٠٥٠١٢٣٤٥٦٧"},
        {"‎+٩٦٦ ٥٠ ١٢٣ ٤٥٦٧", "phone:+٩٦٦ ٥٠ ١٢٣ ٤٥٦٧"},
        {"05 0123 4567", "phone:05 0123 4567"},
        {"+971 4 123 4567", "phone:+971 4 123 4567"},
        {"+20 10 1234 5678", "phone:+20 10 1234 5678"},
        {"01012345678", "phone:01012345678"},
        {"+44 20 7946 0958", "phone:+44 20 7946 0958"},
        {"(212) 555-0123", "phone:(212) 555-0123"},
        {"my mobile: 55123456", "phone:55123456"},
        {"55123456", ""},
        {"tracking 0501234567", ""},
        {"10 500 2024 100", ""},
        {"+5 apples and 2024-05-12 12:30", ""},
        {"call on 12-05-1990", ""},
        {"24.7136, 46.6753", ""},
        {"price 1,299.00 SAR", ""},
        {"call 3 times in 2024", ""},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

static void passports_need_a_word(void **state)
{
    static const struct guard_case rows[] = {
        {"passport A12345678", "passport:A12345678"},
        {"جواز السفر رقم AB1234567.", "passport:AB1234567"},
        {"passport number 123456789", "passport:123456789"},
        {"part A12345678", ""},
        {"A12345678", ""},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

static void births_need_a_word(void **state)
{
    static const struct guard_case rows[] = {
        {"DOB: 12/05/1990", "date_of_birth:12/05/1990"},
        {"born on 12 March 1990 in Riyadh", "date_of_birth:12 March 1990"},
        {"born on the 12th of March, 1990.", "date_of_birth:12th of March, 1990"},
        {"born March 12, 1990", "date_of_birth:March 12, 1990"},
        {"تاريخ الميلاد ١٢ مارس ١٩٩٠", "date_of_birth:١٢ مارس ١٩٩٠"},
        {"من مواليد ١٤١٠/٠٥/١٢ هـ", "date_of_birth:١٤١٠/٠٥/١٢"},
        {"date of birth 1990-05-12", "date_of_birth:1990-05-12"},
        {"ولدت في 5 ربيع الأول 1410", "date_of_birth:5 ربيع الأول 1410"},
        {"meeting on 12/05/1990", ""},
        {"born in 1990 with 12 March", ""},
        {"12/05/1990", ""},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

static void other_numbers_are_left(void **state)
{
    static const struct guard_case rows[] = {
        {"Quran 2:255 and 18:10-12", ""},
        {"unix time 1700000000, epoch 1000000008", ""},
        {"ISBN 978-0-306-40615-7", ""},
        {"sha d41d8cd98f00b204e9800998ecf8427e", ""},
        {"550e8400-e29b-41d4-a716-446655440000", ""},
        {"part no. AB-1234-5678-90", ""},
        {"v10.0.19045.3570 build 19045", ""},
        {"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20", ""},
    };
    (void)state;
    case_check_all(rows, ROWS(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_found),          cmocka_unit_test(cards_are_found),
        cmocka_unit_test(ibans_are_found),        cmocka_unit_test(phones_are_found),
        cmocka_unit_test(passports_need_a_word),  cmocka_unit_test(births_need_a_word),
        cmocka_unit_test(other_numbers_are_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
