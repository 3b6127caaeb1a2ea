/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong, and whether the gateway takes calls. */
#include "admin/admin_internal.h"

void admin_problems_read(struct admin_problems *out)
{
    out->count = health_read(out->entries);
    for (size_t i = 0; i < out->count; i++) {
        const struct health_entry *entry = &out->entries[i];
        const struct health_row *row = health_row(entry->kind);
        out->rows[i] = (struct admin_problem){.kind = span_of(row->word),
                                              .level = row->level == LOG_ERROR,
                                              .subject = span_of(entry->subject),
                                              .since = entry->since,
                                              .message = span_of(entry->sentence)};
    }
}

enum admin_state admin_state_of(bool is_serving)
{
    return !is_serving ? ADMIN_NOT_SERVING : health_is_ready() ? ADMIN_OK : ADMIN_NOT_READY;
}

enum err admin_page_healthz(struct admin_page *page)
{
    const struct admin_liveness live = {0};
    struct json_writer w;
    json_write_init(&w, page->out);
    admin_object_write(&w, ADMIN_OBJECT_liveness, &live);
    return json_write_finish(&w);
}

enum err admin_page_readyz(struct admin_page *page)
{
    struct json_writer w;
    struct admin_problems problems;
    admin_problems_read(&problems);
    const struct admin_readiness ready = {.status = (int)admin_state_of(page->is_serving),
                                          .problems = {problems.rows, problems.count}};
    page->status = ready.status == ADMIN_OK ? 200 : 503;
    json_write_init(&w, page->out);
    admin_object_write(&w, ADMIN_OBJECT_readiness, &ready);
    return json_write_finish(&w);
}
