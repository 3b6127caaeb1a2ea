/* SPDX-License-Identifier: Apache-2.0 */
#include "main/main_changes.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "cli/cli_table.h"
#include "crypto/call_id.h"
#include "routing/routing.h"
#include "json/json_write.h"

#define PAGE_BYTES_MAX  (16u << 20)
#define ARENA_BYTES_MAX (16u << 20)
#define KEY_BYTES       2048
#define ROWS(table)     (sizeof(table) / sizeof((table)[0]))

/* Calls that would change alike. */
struct main_changed {
    struct main_change change; /* in `key` */
    uint64_t calls, order;
    char examples[MAIN_CHANGE_EXAMPLES][CRYPTO_CALL_ID_CHARS + 1];
};

static size_t rule_count(const struct main_changes *c)
{
    return c->rules == NULL ? 0 : routing_count(c->rules);
}

enum err main_changes_open(struct main_changes *c, const struct routing *rules)
{
    *c = (struct main_changes){.rules = rules};
    arena_init(&c->arena, ARENA_BYTES_MAX);
    map_init(&c->map);
    c->untold_by = memory_new_array(rule_count(c) + 1, sizeof(uint64_t));
    c->all = memory_new_array(MAIN_CHANGES_MAX, sizeof(struct main_changed *));
    return c->untold_by == NULL || c->all == NULL ? ERR_NO_MEMORY : ERR_OK;
}

void main_changes_close(struct main_changes *c)
{
    map_fini(&c->map);
    arena_fini(&c->arena);
    memory_free(c->untold_by);
    memory_free(c->all);
}

/* ---- counting ---- */

/* The first line of `rest`, which is cut off it. */
static struct span next_line(struct span *rest)
{
    struct span line = span_cut(*rest, 0, span_find(*rest, '\n', 0));
    *rest = span_cut(*rest, line.len + 1, rest->len);
    return line;
}

static enum err begin(struct main_changes *c, struct span key, struct main_changed **out)
{
    struct main_changed *changed = arena_new(&c->arena, sizeof(*changed));
    struct span kept = arena_copy(&c->arena, key);
    if (changed == NULL || kept.at == NULL) {
        return ERR_NO_MEMORY;
    }
    enum err e = map_put_borrow(&c->map, kept, changed);
    if (e == ERR_OK) {
        changed->change.from_policy = next_line(&kept);
        changed->change.to_policy = next_line(&kept);
        changed->change.from_model = next_line(&kept);
        changed->change.to_model = next_line(&kept);
        changed->order = c->map.count;
        c->all[c->map.count - 1] = changed;
        *out = changed;
    }
    return e;
}

enum err main_changes_add(struct main_changes *c, const struct main_change *change,
                          const uint8_t call[JOURNAL_ID_BYTES])
{
    char key[KEY_BYTES];
    int len = snprintf(key, sizeof(key), "%.*s\n%.*s\n%.*s\n%.*s\n", SPAN_ARGS(change->from_policy),
                       SPAN_ARGS(change->to_policy), SPAN_ARGS(change->from_model),
                       SPAN_ARGS(change->to_model));
    c->changed++;
    size_t most = (size_t)len < sizeof(key) ? (size_t)len : sizeof(key) - 1;
    struct main_changed *changed = map_find(&c->map, span_make(key, most));
    if (changed == NULL && c->map.count == MAIN_CHANGES_MAX) {
        c->others++;
        return ERR_OK;
    }
    enum err e = changed == NULL ? begin(c, span_make(key, most), &changed) : ERR_OK;
    if (e == ERR_OK && changed->calls < MAIN_CHANGE_EXAMPLES) {
        crypto_call_id_write(call, changed->examples[changed->calls]);
    }
    if (e == ERR_OK) {
        changed->calls++;
    }
    return e;
}

/* ---- telling ---- */

static int by_calls(const void *a, const void *b)
{
    const struct main_changed *x = *(struct main_changed *const *)a;
    const struct main_changed *y = *(struct main_changed *const *)b;
    return x->calls != y->calls ? (x->calls < y->calls) - (x->calls > y->calls)
                                : (x->order > y->order) - (x->order < y->order);
}

static void put_number(struct json_writer *w, const char *name, uint64_t number)
{
    json_write_key(w, name);
    json_write_u64(w, number);
}

static void put_text(struct json_writer *w, const char *name, struct span text)
{
    json_write_key(w, name);
    json_write_string(w, text);
}

static void put_change(struct json_writer *w, const struct main_changed *c)
{
    json_write_object(w);
    put_number(w, "calls", c->calls);
    put_text(w, "from_policy", c->change.from_policy);
    put_text(w, "to_policy", c->change.to_policy);
    put_text(w, "from_model", c->change.from_model);
    put_text(w, "to_model", c->change.to_model);
    json_write_key(w, "examples");
    json_write_array(w);
    for (size_t i = 0; i < MAIN_CHANGE_EXAMPLES && i < c->calls; i++) {
        json_write_text(w, c->examples[i]);
    }
    json_write_end(w);
    json_write_end(w);
}

static void put_untold(struct json_writer *w, const struct main_changes *c)
{
    json_write_key(w, "untold_by");
    json_write_array(w);
    for (size_t i = 0; i < rule_count(c); i++) {
        if (c->untold_by[i] > 0) {
            json_write_object(w);
            put_text(w, "rule", routing_rule(c->rules, i)->name);
            put_number(w, "calls", c->untold_by[i]);
            json_write_end(w);
        }
    }
    json_write_end(w);
}

static enum err write_page(const struct main_changes *c, struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    put_number(&w, "calls", c->calls);
    put_number(&w, "same", c->same);
    put_number(&w, "changed", c->changed);
    put_number(&w, "untold", c->untold);
    put_untold(&w, c);
    json_write_key(&w, "data");
    json_write_array(&w);
    for (size_t i = 0; i < c->map.count; i++) {
        put_change(&w, c->all[i]);
    }
    json_write_end(&w);
    put_number(&w, "others", c->others);
    json_write_end(&w);
    return json_write_finish(&w);
}

static void print_sums(const struct main_changes *c)
{
    printf("calls    %llu\nsame     %llu\nchanged  %llu\nuntold   %llu\n",
           (unsigned long long)c->calls, (unsigned long long)c->same,
           (unsigned long long)c->changed, (unsigned long long)c->untold);
    for (size_t i = 0; i < rule_count(c); i++) {
        if (c->untold_by[i] > 0) {
            printf("         %llu by %.*s, which asks for what records do not have\n",
                   (unsigned long long)c->untold_by[i], SPAN_ARGS(routing_rule(c->rules, i)->name));
        }
    }
    if (c->others > 0) {
        printf("others   %llu, changed in further ways\n", (unsigned long long)c->others);
    }
}

enum err main_changes_print(struct main_changes *c, bool is_json)
{
    static const struct cli_column columns[] = {
        {"CALLS", "calls", "0", CLI_RIGHT}, {"POLICY", "from_policy", "-", 0},
        {"WOULD BE", "to_policy", "-", 0},  {"MODEL", "from_model", "-", 0},
        {"WOULD BE", "to_model", "-", 0},   {"EXAMPLES", "examples", "-", 0}};
    struct buf page;
    size_t lines;
    qsort(c->all, c->map.count, sizeof(c->all[0]), by_calls);
    buf_init(&page, PAGE_BYTES_MAX);
    enum err e = write_page(c, &page);
    if (e == ERR_OK && is_json) {
        printf("%.*s\n", SPAN_ARGS(buf_span(&page)));
    } else if (e == ERR_OK) {
        print_sums(c);
        if (c->changed > 0) {
            putchar('\n');
            e = cli_table_print(stdout, buf_span(&page), columns, ROWS(columns), &lines);
        }
    }
    buf_fini(&page);
    return e;
}
