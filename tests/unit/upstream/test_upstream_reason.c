/* SPDX-License-Identifier: Apache-2.0 */
/* test_upstream_reason.c — what the operator's log says of a server's failure. */
#include "unit.h"

#include <string.h>

#include "upstream/upstream_reason.h"

static void a_known_cause_is_named_in_words_of_ours(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says; /* NULL: nothing */
    } answers[] = {
        {"{\"error\":{\"message\":\"CUDA out of memory. Tried to allocate 2 GiB\"}}",
         "out of memory"},
        {"{\"error\":{\"code\":503,\"message\":\"Loading model\"}}", "still loads"},
        {"{\"error\":\"llama runner process has terminated: signal: killed\"}", "ended"},
        {"EngineDeadError: EngineCore encountered an issue", "engine died"},
        {"{\"error\":{\"message\":\"Failed to parse input at pos 3: the patient's name is\"}}",
         "could not parse"},
        {"<html><title>502 Bad Gateway</title></html>", "proxy"},
        {"{\"error\":{\"message\":\"the patient's name is\"}}", NULL},
        {"", NULL},
    };
    for (size_t r = 0; r < ROWS(answers); r++) {
        const char *reason = upstream_reason_read(span_of(answers[r].body));
        if ((reason == NULL) != (answers[r].says == NULL) ||
            (reason != NULL && strstr(reason, answers[r].says) == NULL)) {
            fail_msg("%s: %s", answers[r].body, reason == NULL ? "nothing" : reason);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_cause_is_named_in_words_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
