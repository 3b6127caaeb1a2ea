/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/doctor.h"

#include <stdarg.h>

#include "doctor/doctor_internal.h"

#define PROBLEMS_BYTES_MAX (128u << 10)

void doctor_say(struct doctor *d, enum doctor_finding finding, const char *what, const char *format,
                ...)
{
    static const char *const words[] = {"ok  ", "warn", "FAIL"};
    char sentence[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    for (char *at = sentence; *at != '\0'; at++) { /* servers' words do not move the cursor */
        *at = (unsigned char)*at < ' ' || *at == 0x7f ? '?' : *at;
    }
    fprintf(d->out, "%s  %s: %s\n", words[finding], what, sentence);
    (void)fflush(d->out); /* upstreams may take seconds; what was found stands already */
    d->found[finding]++;
}

static void report_problems(struct doctor *d, struct span problems)
{
    while (problems.len > 0) {
        size_t line = span_find(problems, '\n', 0);
        doctor_say(d, DOCTOR_FAIL, "configuration", "%.*s", SPAN_ARGS(span_cut(problems, 0, line)));
        problems = span_cut(problems, line + 1, problems.len);
    }
}

static void check_all(struct doctor *d)
{
    const struct settings *s = d->settings;
    doctor_say(d, DOCTOR_OK, "configuration", "%s is valid: %zu upstream%s, %zu model%s", s->path,
               s->upstream.definitions_count, SPAN_PLURAL(s->upstream.definitions_count),
               s->gateway.models_count, SPAN_PLURAL(s->gateway.models_count));
    if (s->gateway.models_count == 0) {
        doctor_say(d, DOCTOR_WARN, "configuration",
                   "no model is configured, so every call is answered 404; name one below "
                   "`models:`");
    }
    doctor_check_config_file(d);
    doctor_check_data(d);
    doctor_check_prices(d);
    doctor_check_machine(d);
    doctor_check_certificates(d);
    doctor_check_ports(d);
    doctor_check_upstreams(d);
    doctor_check_running(d);
}

bool doctor_run(const char *path, FILE *out)
{
    struct doctor d = {.out = out};
    struct settings *settings = NULL;
    struct buf problems;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open(path, &problems, &settings);
    if (e == ERR_OK) {
        d.settings = settings;
        check_all(&d);
    } else if (e == ERR_CONFIG) {
        report_problems(&d, buf_span(&problems));
    } else {
        doctor_say(&d, DOCTOR_FAIL, "configuration", "%s", err_sentence(e));
    }
    buf_fini(&problems);
    settings_close(&settings);
    fprintf(out, "\n%zu ok, %zu to look at, %zu to mend\n", d.found[DOCTOR_OK],
            d.found[DOCTOR_WARN], d.found[DOCTOR_FAIL]);
    return d.found[DOCTOR_FAIL] == 0;
}
