/* SPDX-License-Identifier: Apache-2.0 */
/* test_main_stopped.c — who is stopped, who runs, and who is not there. */
#include "unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "main/main_stopped.h"

static void a_process_is_stopped_from_sigstop_to_sigcont(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        for (;;) {
            (void)pause();
        }
    }
    assert_true(child > 0);
    assert_int_equal(MAIN_RUNS, main_stop_of(child));
    assert_int_equal(kill(child, SIGSTOP), 0);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_int_equal(MAIN_STOPPED, main_stop_of(child));
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, WCONTINUED), child);
    assert_int_equal(MAIN_RUNS, main_stop_of(child));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(MAIN_RUNS, main_stop_of(child));
    assert_int_equal(MAIN_RUNS, main_stop_of(getpid()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_is_stopped_from_sigstop_to_sigcont),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
