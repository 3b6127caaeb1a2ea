/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     vllm:num_requests_running{engine="0",model_name="falcon"} 3.0 1795489200500
 *     └──────────name─────────┘└────────────labels───────────┘ value └─time────┘
 *
 * Lines of other names are not looked into.
 */
#include "upstream/upstream_load.h"

#include <stdlib.h>

#define NUMBER_BYTES 64 /* of a value; longer is none of ours */
#define PERMILLE     1000

enum says { SAYS_RUNNING, SAYS_WAITING, SAYS_KV };

static const struct {
    const char *name;
    enum says says;
} names[] = {
    {"vllm:num_requests_running", SAYS_RUNNING},
    {"vllm:num_requests_waiting", SAYS_WAITING},
    {"vllm:kv_cache_usage_perc", SAYS_KV},
    {"vllm:gpu_cache_usage_perc", SAYS_KV}, /* before 0.10, and for a while beside the other */
    {"sglang:num_running_reqs", SAYS_RUNNING},
    {"sglang:num_queue_reqs", SAYS_WAITING},
    {"sglang:token_usage", SAYS_KV},
    {"llamacpp:requests_processing", SAYS_RUNNING},
    {"llamacpp:requests_deferred", SAYS_WAITING},
    {"llamacpp:kv_cache_usage_ratio", SAYS_KV}, /* until the middle of 2025 */
    {"tgi_batch_current_size", SAYS_RUNNING},
    {"tgi_queue_size", SAYS_WAITING},
};

/* What the labels of a row say, as far as it matters. */
struct row {
    struct span model; /* as it is written, escapes too */
    bool has_dp_rank, is_further_tp, is_further_pp, is_by_priority;
};

static struct span skip_blanks(struct span s)
{
    size_t i = 0;
    while (i < s.len && (s.at[i] == ' ' || s.at[i] == '\t')) {
        i++;
    }
    return span_cut(s, i, s.len);
}

static void note_label(struct row *row, struct span name, struct span value)
{
    if (span_is(name, "model_name")) {
        row->model = value;
    } else if (span_is(name, "priority")) {
        row->is_by_priority = value.len > 0;
    } else if (span_is(name, "dp_rank")) {
        row->has_dp_rank = true;
    } else if (span_is(name, "tp_rank")) {
        row->is_further_tp = !span_is(value, "0");
    } else if (span_is(name, "pp_rank")) {
        row->is_further_pp = !span_is(value, "0");
    }
}

/* Where the text in quotation marks that begins at `from` ends; s.len: nowhere. */
static size_t find_quote(struct span s, size_t from)
{
    size_t i = from;
    while (i < s.len && s.at[i] != '"') {
        i += s.at[i] == '\\' ? 2 : 1;
    }
    return i < s.len ? i : s.len;
}

/* Reads `name="value",…}`, behind the bracket; false: it is torn. `*rest` is what follows. */
static bool read_labels(struct span s, struct row *row, struct span *rest)
{
    for (;;) {
        s = skip_blanks(s);
        if (s.len > 0 && s.at[0] == '}') {
            *rest = span_cut(s, 1, s.len);
            return true;
        }
        size_t equal = span_find(s, '=', 0);
        struct span value = skip_blanks(span_cut(s, equal + 1, s.len));
        size_t end = find_quote(value, 1);
        if (value.len == 0 || value.at[0] != '"' || end == value.len) {
            return false;
        }
        note_label(row, span_trim(span_cut(s, 0, equal)), span_cut(value, 1, end - 1));
        s = skip_blanks(span_cut(value, end + 1, value.len));
        if (s.len > 0 && s.at[0] == ',') {
            s = span_cut(s, 1, s.len);
        } else if (s.len == 0 || s.at[0] != '}') {
            return false;
        }
    }
}

/* Whether all of it are bytes that a decimal number may have: no NaN, no Inf, no sign in front. */
static bool is_decimal(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.at[i];
        bool is_in_exponent = i > 0 && (c == 'e' || c == 'E' || c == '+' || c == '-');
        if ((c < '0' || c > '9') && c != '.' && !is_in_exponent) {
            return false;
        }
    }
    return s.len > 0;
}

/* The value in front of a time, if there is one; false: it is no number from 0 to `most`. */
static bool read_value(struct span s, double most, double *out)
{
    char text[NUMBER_BYTES], *end = text;
    s = span_trim(s);
    size_t len = 0;
    while (len < s.len && s.at[len] != ' ' && s.at[len] != '\t') {
        len++;
    }
    s = span_cut(s, 0, len);
    if (!is_decimal(s) || len >= sizeof(text)) {
        return false;
    }
    span_copy_text(s, text, sizeof(text));
    *out = strtod(text, &end);
    return *end == '\0' && *out >= 0 && *out <= most;
}

/* Whether it counts requests that no other row counts, of the model that is asked for. */
static bool counts(const struct row *row, struct span model)
{
    bool is_again =
        row->is_by_priority || row->is_further_pp || (row->is_further_tp && !row->has_dp_rank);
    return !is_again && (model.len == 0 || span_equal(row->model, model));
}

/* What is read so far. */
struct reading {
    struct span model;
    struct upstream_load load;
    bool has_running;
};

static bool add(int64_t *sum, double value)
{
    *sum += (int64_t)(value + 0.5);
    return *sum <= UPSTREAM_LOAD_MOST;
}

/* Behind the name of a row; false: it cannot be believed. */
static bool read_row(struct reading *r, enum says says, struct span s)
{
    struct row row = {.model = SPAN("")};
    double value = 0;
    bool has_labels = s.len > 0 && s.at[0] == '{';
    if (has_labels && !read_labels(span_cut(s, 1, s.len), &row, &s)) {
        return false;
    }
    if (!counts(&row, r->model)) {
        return true;
    }
    if (!read_value(s, says == SAYS_KV ? 1 : (double)UPSTREAM_LOAD_MOST, &value)) {
        return says == SAYS_KV; /* which decides nothing */
    }
    if (says == SAYS_KV) {
        int64_t permille = (int64_t)(value * PERMILLE + 0.5);
        r->load.kv_permille = permille > r->load.kv_permille ? permille : r->load.kv_permille;
        return true;
    }
    r->has_running = r->has_running || says == SAYS_RUNNING;
    return add(says == SAYS_RUNNING ? &r->load.running : &r->load.waiting, value);
}

static bool read_line(struct reading *r, struct span line)
{
    size_t len = 0;
    while (len < line.len && line.at[len] != '{' && line.at[len] != ' ' && line.at[len] != '\t') {
        len++;
    }
    struct span name = span_cut(line, 0, len);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (span_is(name, names[i].name)) {
            return read_row(r, names[i].says, skip_blanks(span_cut(line, len, line.len)));
        }
    }
    return true;
}

enum err upstream_load_read(struct span page, struct span model, const char **why,
                            struct upstream_load *out)
{
    struct reading r = {.model = model, .load = {.kv_permille = -1}};
    for (size_t at = 0; at < page.len;) {
        size_t end = span_find(page, '\n', at);
        struct span line = span_cut(page, at, end - at);
        if (span_ends(line, SPAN("\r"))) {
            line.len--;
        }
        if (!read_line(&r, line)) {
            *why = "a number of its requests is none that can be believed";
            return ERR_VALUE_INVALID;
        }
        at = end + 1;
    }
    if (!r.has_running) {
        *why = model.len == 0 ? "no row of its page is known to say how many requests run"
                              : "no row of its page says how many requests of load.model run";
        return ERR_VALUE_INVALID;
    }
    *out = r.load;
    return ERR_OK;
}
