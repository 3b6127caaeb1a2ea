/* SPDX-License-Identifier: Apache-2.0 */
/* test_upstream_load.c — what pages of metrics say of a model server's work, and what nobody
 * believes. */
#include "unit.h"

#include "upstream/upstream_load.h"

static const char vllm_page[] =
    "# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
    "# TYPE vllm:num_requests_running gauge\n"
    "vllm:num_requests_running{engine=\"0\",model_name=\"falcon\"} 3.0\n"
    "vllm:num_requests_running{engine=\"1\",model_name=\"falcon\"} 4.0\n"
    "# TYPE vllm:num_requests_waiting gauge\n"
    "vllm:num_requests_waiting{engine=\"0\",model_name=\"falcon\"} 2.0\n"
    "vllm:num_requests_waiting{engine=\"1\",model_name=\"falcon\"} 0.0\n"
    "vllm:num_requests_waiting_by_reason{engine=\"0\",model_name=\"falcon\",reason=\"x\"} 2.0\n"
    "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"falcon\"} 0.25\n"
    "vllm:kv_cache_usage_perc{engine=\"1\",model_name=\"falcon\"} 0.5008\n"
    "vllm:e2e_request_latency_seconds_bucket{le=\"+Inf\",model_name=\"falcon\"} 12.0\n";

static const char two_models[] = "vllm:num_requests_running{model_name=\"a\"} 1\n"
                                 "vllm:num_requests_running{model_name=\"b\\\"}\"} 20\n"
                                 "vllm:num_requests_waiting{model_name=\"a\"} 300\n";

static const char sglang_page[] =
    "sglang:num_running_reqs{dp_rank=\"0\",priority=\"\",pp_rank=\"0\",tp_rank=\"0\"} 5.0\n"
    "sglang:num_running_reqs{dp_rank=\"0\",priority=\"1\",pp_rank=\"0\",tp_rank=\"0\"} 4.0\n"
    "sglang:num_running_reqs{dp_rank=\"1\",priority=\"\",pp_rank=\"0\",tp_rank=\"1\"} 7.0\n"
    "sglang:num_running_reqs{dp_rank=\"1\",priority=\"\",pp_rank=\"1\",tp_rank=\"1\"} 7.0\n"
    "sglang:num_running_reqs{pp_rank=\"0\",tp_rank=\"3\"} 5.0\n"
    "sglang:num_queue_reqs{dp_rank=\"0\",pp_rank=\"0\",tp_rank=\"0\"} 1.0\n"
    "sglang:token_usage{tp_rank=\"0\"} 0.07\n";

static void each_kind_says_it_in_its_own_names(void **state)
{
    (void)state;
    static const struct {
        const char *page, *model;
        int64_t running, waiting, kv_permille;
    } rows[] = {
        {vllm_page, "", 7, 2, 501},
        {vllm_page, "falcon", 7, 2, 501},
        {two_models, "", 21, 300, -1},
        {two_models, "a", 1, 300, -1},
        {two_models, "b\\\"}", 20, 0, -1},
        {sglang_page, "", 12, 1, 70},
        {"llamacpp:requests_processing 4\nllamacpp:requests_deferred 46\n", "", 4, 46, -1},
        {"tgi_batch_current_size 8\ntgi_queue_size 7\n", "", 8, 7, -1},
        {"vllm:num_requests_running 1\nvllm:gpu_cache_usage_perc 0.3\n", "", 1, 0, 300},
        {"vllm:num_requests_running{} 1", "", 1, 0, -1},
        {"vllm:num_requests_running { engine = \"0\" , }\t1e1 1795489200500\r\n", "", 10, 0, -1},
        {"vllm:num_requests_running 1\nvllm:kv_cache_usage_perc NaN\n", "", 1, 0, -1},
        {"vllm:num_requests_running 1\nvllm:kv_cache_usage_perc 37\n", "", 1, 0, -1},
        {"vllm:num_requests_running 1000000\n", "", 1000000, 0, -1},
        {"other{torn=\"\nother NaN\n\n\nvllm:num_requests_running 0.0\n", "", 0, 0, -1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct upstream_load got;
        const char *why = "";
        enum err e = upstream_load_read(span_of(rows[i].page), span_of(rows[i].model), &why, &got);
        if (e != ERR_OK || got.running != rows[i].running || got.waiting != rows[i].waiting ||
            got.kv_permille != rows[i].kv_permille) {
            fail_msg("row %zu: %s %lld %lld %lld", i, why, (long long)got.running,
                     (long long)got.waiting, (long long)got.kv_permille);
        }
    }
}

#define RUNS "vllm:num_requests_running"

static void what_cannot_be_believed_is_refused_whole(void **state)
{
    (void)state;
    static const struct {
        const char *page, *model, *why;
    } rows[] = {
        {"", "", "is known to say"},
        {"<html>404</html>", "", "is known to say"},
        {"vllm:num_requests_waiting 3\n", "", "is known to say"},
        {RUNS "_x 3\n", "", "is known to say"},
        {" " RUNS " 3\n", "", "is known to say"},
        {two_models, "c", "of load.model"},
        {RUNS " NaN\n", "", "believed"},
        {RUNS " nan\n", "", "believed"},
        {RUNS " +Inf\n", "", "believed"},
        {RUNS " inf\n", "", "believed"},
        {RUNS " -1\n", "", "believed"},
        {RUNS " -0\n", "", "believed"},
        {RUNS " 1000001\n", "", "believed"},
        {RUNS " 1e300\n", "", "believed"},
        {RUNS " 1e999999\n", "", "believed"},
        {RUNS " 0x10\n", "", "believed"},
        {RUNS " 1 e1x\n" RUNS " 1e\n", "", "believed"},
        {RUNS "\n", "", "believed"},
        {RUNS " \n", "", "believed"},
        {RUNS "{} \n", "", "believed"},
        {RUNS " 600000\n" RUNS " 600000\n", "", "believed"},
        {RUNS " 1\nvllm:num_requests_waiting NaN\n", "", "believed"},
        {RUNS "{model_name=\"a\" 1\n", "", "believed"},
        {RUNS "{model_name=\"a} 1\n", "", "believed"},
        {RUNS "{model_name=\"a\\\"} 1\n", "", "believed"},
        {RUNS "{model_name=\"a\\", "", "believed"},
        {RUNS "{model_name\n", "", "believed"},
        {RUNS "{model_name=\n", "", "believed"},
        {RUNS "{model_name=\"a\"engine=\"0\"} 1\n", "", "believed"},
        {RUNS "{", "", "believed"},
        {RUNS " 0000000000000000000000000000000000000000000000000000000000000000000001\n", "",
         "believed"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct upstream_load got = {.running = -7};
        const char *why = "";
        enum err e = upstream_load_read(span_of(rows[i].page), span_of(rows[i].model), &why, &got);
        if (e != ERR_VALUE_INVALID || got.running != -7 || strstr(why, rows[i].why) == NULL) {
            fail_msg("row %zu: %s, \"%s\"", i, err_name(e), why);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_says_it_in_its_own_names),
        cmocka_unit_test(what_cannot_be_believed_is_refused_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
