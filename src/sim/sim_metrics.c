/* SPDX-License-Identifier: Apache-2.0 */
/* The page of metrics, as each kind of model server writes it: with labels or without, numbers as
 * whole ones or as floats. */
#include "sim/sim_internal.h"

/* What there is to tell. */
enum told {
    RUNNING,
    WAITING,
    KV_PERMILLE,
    PREEMPTED,
    CACHE_ASKED,
    CACHE_FOUND,
    PROMPT_TOKENS,
    GENERATED_TOKENS,
    FINISHED,
    ABORTED,
    TOLD
};

struct metric {
    const char *name, *type, *label; /* the type NULL: of the row before */
    enum told told;
};

static const struct metric vllm[] = {
    {"vllm:num_requests_running", "gauge", "", RUNNING},
    {"vllm:num_requests_waiting", "gauge", "", WAITING},
    {"vllm:kv_cache_usage_perc", "gauge", "", KV_PERMILLE},
    {"vllm:num_preemptions_total", "counter", "", PREEMPTED},
    {"vllm:prefix_cache_queries_total", "counter", "", CACHE_ASKED},
    {"vllm:prefix_cache_hits_total", "counter", "", CACHE_FOUND},
    {"vllm:prompt_tokens_total", "counter", "", PROMPT_TOKENS},
    {"vllm:generation_tokens_total", "counter", "", GENERATED_TOKENS},
    {"vllm:request_success_total", "counter", ",finished_reason=\"stop\"", FINISHED},
    {"vllm:request_success_total", NULL, ",finished_reason=\"abort\"", ABORTED},
    {NULL, NULL, NULL, TOLD},
};

static const struct metric sglang[] = {
    {"sglang:num_running_reqs", "gauge", "", RUNNING},
    {"sglang:num_queue_reqs", "gauge", "", WAITING},
    {"sglang:token_usage", "gauge", "", KV_PERMILLE},
    {"sglang:prompt_tokens_total", "counter", "", PROMPT_TOKENS},
    {"sglang:generation_tokens_total", "counter", "", GENERATED_TOKENS},
    {NULL, NULL, NULL, TOLD},
};

static const struct metric llama_cpp[] = {
    {"llamacpp:requests_processing", "gauge", "", RUNNING},
    {"llamacpp:requests_deferred", "gauge", "", WAITING},
    {"llamacpp:prompt_tokens_total", "counter", "", PROMPT_TOKENS},
    {"llamacpp:tokens_predicted_total", "counter", "", GENERATED_TOKENS},
    {NULL, NULL, NULL, TOLD},
};

static const struct metric tgi[] = {
    {"tgi_batch_current_size", "gauge", "", RUNNING},
    {"tgi_queue_size", "gauge", "", WAITING},
    {NULL, NULL, NULL, TOLD},
};

/* A kind's rows, and what stands in all their brackets; "": they have none. */
static const struct {
    const struct metric *rows;
    const char *labels, *fraction;
} pages[] = {
    [SIM_METRICS_VLLM] = {vllm, "model_name=\"sim\",engine=\"0\"", ""},
    [SIM_METRICS_SGLANG] =
        {sglang, "engine_type=\"unified\",model_name=\"sim\",pp_rank=\"0\",tp_rank=\"0\"", ".0"},
    [SIM_METRICS_LLAMA_CPP] = {llama_cpp, "", ""},
    [SIM_METRICS_TGI] = {tgi, "", ""},
};

/* How much of the cache the prompts of running calls need. */
static uint64_t kv_permille(const struct sim *s)
{
    int64_t of = s->plan.cache_tokens;
    int64_t part = of == 0 ? 0 : s->held_tokens * 1000 / of;
    return part < 1000 ? (uint64_t)part : 1000;
}

static void write_row(struct buf *out, enum sim_metrics kind, const struct metric *row,
                      uint64_t value)
{
    const char *labels = pages[kind].labels;
    if (row->type != NULL) {
        buf_printf(out, "# TYPE %s %s\n", row->name, row->type);
    }
    buf_put_text(out, row->name);
    if (labels[0] != '\0') {
        buf_printf(out, "{%s%s}", labels, row->label);
    }
    if (row->told == KV_PERMILLE) {
        buf_printf(out, " %llu.%03llu\n", (unsigned long long)value / 1000,
                   (unsigned long long)value % 1000);
    } else {
        buf_printf(out, " %llu%s\n", (unsigned long long)value, pages[kind].fraction);
    }
}

void sim_metrics_write(const struct sim *s, struct buf *out)
{
    const uint64_t values[TOLD] = {
        [RUNNING] = (uint64_t)s->taken,
        [WAITING] = (uint64_t)s->queued,
        [KV_PERMILLE] = kv_permille(s),
        [CACHE_ASKED] = s->cache_asked,
        [CACHE_FOUND] = s->cache_found,
        [PROMPT_TOKENS] = s->prompt_tokens,
        [GENERATED_TOKENS] = s->generated_tokens,
        [FINISHED] = s->finished,
        [ABORTED] = s->aborted,
    };
    CHECK(s->metrics < SIM_METRICS_NONE);
    for (const struct metric *row = pages[s->metrics].rows; row->name != NULL; row++) {
        write_row(out, s->metrics, row, values[row->told]);
    }
}
