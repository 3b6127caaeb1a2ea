/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/upstream_kind.h"

#include "base/check.h"

#define COUNT (UPSTREAM_SCANNER + 1)

static const struct upstream_kind_row rows[COUNT] = {
    [UPSTREAM_VLLM] = {.name = "vllm",
                       .error_shape = UPSTREAM_ERROR_NESTED,
                       .lifts_extra_body = true,
                       .takes_token_arrays = true,
                       .makes_base64 = true},
    [UPSTREAM_SGLANG] = {.name = "sglang",
                         .error_shape = UPSTREAM_ERROR_FLAT,
                         .lifts_extra_body = true,
                         .takes_token_arrays = true},
    [UPSTREAM_LLAMA_CPP] = {.name = "llama.cpp",
                            .error_shape = UPSTREAM_ERROR_NESTED,
                            .lifts_extra_body = true,
                            .takes_token_arrays = true,
                            .makes_base64 = true},
    [UPSTREAM_OLLAMA] = {.name = "ollama",
                         .error_shape = UPSTREAM_ERROR_NESTED,
                         .renames_max_completion_tokens = true,
                         .lifts_extra_body = true,
                         .makes_base64 = true,
                         .hides_stream_errors = true},
    [UPSTREAM_TGI] = {.name = "tgi",
                      .error_shape = UPSTREAM_ERROR_STRING,
                      .refuses_both_max_tokens = true,
                      .lacks_stop_text = true,
                      .lifts_extra_body = true,
                      .opens_stream_first = true},
    [UPSTREAM_OPENAI] = {.name = "openai",
                         .error_shape = UPSTREAM_ERROR_NESTED,
                         .lifts_extra_body = true,
                         .takes_token_arrays = true,
                         .makes_base64 = true},
    [UPSTREAM_SCANNER] = {.name = "scanner", .error_shape = UPSTREAM_ERROR_STRING},
};

const struct upstream_kind_row *upstream_kind_row(enum upstream_kind kind)
{
    CHECK((unsigned)kind < COUNT);
    return &rows[kind];
}
