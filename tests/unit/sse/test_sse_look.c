/* SPDX-License-Identifier: Apache-2.0 */
/* test_sse_look.c — streams and whole replies by their first bytes. */
#include "unit.h"

#include "sse/sse_look.h"

static void the_first_bytes_say_what_an_answer_is(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        enum sse_look look;
    } rows[] = {
        {"data: {}", SSE_LOOK_STREAM},
        {"data:", SSE_LOOK_STREAM},
        {"event: x", SSE_LOOK_STREAM},
        {"id:1", SSE_LOOK_STREAM},
        {"retry: 5", SSE_LOOK_STREAM},
        {":", SSE_LOOK_STREAM},
        {": ping", SSE_LOOK_STREAM},
        {"\r\n\n\rdata: x", SSE_LOOK_STREAM},
        {"\xEF\xBB\xBF"
         "data: x",
         SSE_LOOK_STREAM},
        {"{\"choices\"", SSE_LOOK_JSON},
        {" \n\t[", SSE_LOOK_JSON},
        {"\xEF\xBB\xBF{", SSE_LOOK_JSON},
        {"", SSE_LOOK_MORE},
        {"\n\n", SSE_LOOK_MORE},
        {"\xEF\xBB", SSE_LOOK_MORE},
        {"\xEF\xBB\xBF", SSE_LOOK_MORE},
        {"d", SSE_LOOK_MORE},
        {"data", SSE_LOOK_MORE},
        {"retr", SSE_LOOK_MORE},
        {"date: x", SSE_LOOK_OTHER},
        {"dating", SSE_LOOK_OTHER},
        {"<html>", SSE_LOOK_OTHER},
        {"[DONE]", SSE_LOOK_JSON},
        {"\"text\"", SSE_LOOK_OTHER},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        enum sse_look look = sse_look(span_of(rows[r].bytes));
        if (look != rows[r].look) {
            fail_msg("\"%s\": %d", rows[r].bytes, look);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_bytes_say_what_an_answer_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
