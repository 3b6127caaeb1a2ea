/* SPDX-License-Identifier: Apache-2.0 */
/* test_yaml_tree.c — the subset of YAML that is read, and where the rest is refused. */
#include "unit.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/memory.h"
#include "yaml/yaml_tree.h"

#define ARENA_BYTES (64u << 20)

/* Writes a tree as "{a:1:4=x b=[y z]}" with places where `places` says so. */
static void show(const struct ytree_node *node, bool places, struct buf *b)
{
    if (node->key.len > 0) {
        buf_put(b, node->key);
        buf_put_byte(b, '=');
    }
    if (node->kind == YTREE_SCALAR) {
        buf_printf(b, node->plain ? "%.*s" : "\"%.*s\"", SPAN_ARGS(node->text));
    } else {
        buf_put_byte(b, node->kind == YTREE_MAP ? '{' : '[');
        for (const struct ytree_node *c = node->first; c != NULL; c = c->next) {
            show(c, places, b);
            buf_put_text(b, c->next == NULL ? "" : " ");
        }
        buf_put_byte(b, node->kind == YTREE_MAP ? '}' : ']');
    }
    if (places) {
        buf_printf(b, "@%u:%u", node->place.line, node->place.column);
    }
}

/* Reads `text` and returns the tree, or "line:column: sentence", as a text to free. */
static char *read_as_text(struct span text, bool places)
{
    struct arena arena;
    struct ytree_problem problem;
    const struct ytree_node *root;
    struct buf b;
    arena_init(&arena, ARENA_BYTES);
    buf_init(&b, 1u << 20);
    enum err e = ytree_parse(text, &arena, &problem, &root);
    if (e == ERR_OK) {
        show(root, places, &b);
    } else {
        assert_int_equal(e, ERR_CONFIG);
        buf_printf(&b, "%u:%u: %s", problem.place.line, problem.place.column, problem.sentence);
    }
    buf_put_byte(&b, '\0');
    assert_false(buf_failed(&b));
    char *shown = memory_text((const char *)buf_span(&b).at);
    buf_fini(&b);
    arena_fini(&arena);
    return shown;
}

static void the_subset_is_read_as_a_tree(void **state)
{
    (void)state;
    static const struct {
        const char *text, *tree;
    } rows[] = {
        {"", "{}"},
        {"# only a comment\n", "{}"},
        {"---\n...\n", "{}"},
        {"a: 1\nb: two words\n", "{a=1 b=two words}"},
        {"a: \"1\"\nb: ''\nc:\nd: ~\n", "{a=\"1\" b=\"\" c= d=~}"},
        {"a: [x, y, [z]]\n", "{a=[x y [z]]}"},
        {"a:\n  - x: 1\n    y: 2\n  - {}\n", "{a=[{x=1 y=2} {}]}"},
        {"\"openai/*\": { upstream: other }\n", "{openai/*={upstream=other}}"},
        {"مرحبا: سلام\n", "{مرحبا=سلام}"},
        {"a: |\n  one\n  two\n", "{a=\"one\ntwo\n\"}"},
        {"a: ${KEY}\n", "{a=${KEY}}"},
        {"\xEF\xBB\xBF"
         "a: 1\r\nb: 2\r\n",
         "{a=1 b=2}"},
        {"just text", "just text"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char *tree = read_as_text(span_of(rows[r].text), false);
        if (strcmp(tree, rows[r].tree) != 0) {
            fail_msg("%s was read as %s", rows[r].text, tree);
        }
        memory_free(tree);
    }
}

static void every_value_knows_its_place(void **state)
{
    (void)state;
    char *tree = read_as_text(SPAN("a: 1\nbb:\n  - x\n  - 'y'\nج: {c: 2}\n"), true);
    assert_string_equal(tree, "{a=1@1:4 bb=[x@3:5 \"y\"@4:5]@3:3 ج={c=2@5:8}@5:4}@1:1");
    memory_free(tree);
}

static void the_rest_is_refused_where_it_stands(void **state)
{
    (void)state;
    static const struct {
        const char *text, *problem;
    } rows[] = {
        {"a: 1\nb: 2\na: 3\n", "3:1: 'a' is given twice; line 1 has it already"},
        {"a: &x 1\n", "1:4: an anchor (&) is not supported here; write the value out, or quote"},
        {"a: *x\n", "1:4: an alias (*) is not supported here; write the value out, or quote a '*'"},
        {"a: !!str 1\n", "1:4: a tag (!) is not supported here; quote a '!'"},
        {"a: !x [1]\n", "1:4: a tag (!) is not supported here; quote a '!'"},
        {"a: 1\n---\nb: 2\n", "2:1: a second document begins here"},
        {"[a, b]: 1\n", "1:1: a key must be a plain word or a quoted text"},
        {"a: [1, 2\n", "2:1: not valid YAML: "},
        {"a: 1\n\tb: 2\n", "2:1: this is a tab"},
        {"a: b: c\n", "1:5: a second `: ` in one line; put the value in quotes"},
        {"a: \"x\\0y\"\n", "1:4: a text may not hold a NUL character"},
        {"a: 1\nb: \xFF\n", "2:4: not valid UTF-8"},
        {"a: \xC3\n", "1:5: not valid UTF-8"},
        {"a: \xED\xA0\x80\n", "1:4: not valid UTF-8"},
        {"ab: \x01\n", "1:5: a control character; write it as an escape in double quotes"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char *problem = read_as_text(span_of(rows[r].text), false);
        if (strncmp(problem, rows[r].problem, strlen(rows[r].problem)) != 0) {
            fail_msg("%s gave %s", rows[r].text, problem);
        }
        memory_free(problem);
    }
}

/* Appends `piece` so many times. */
static void repeat(struct buf *b, const char *piece, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        buf_put_text(b, piece);
    }
    assert_false(buf_failed(b));
}

static void the_limits_hold(void **state)
{
    (void)state;
    static const struct {
        const char *piece;
        size_t times;
        const char *problem;
    } rows[] = {
        {"[", YTREE_DEPTH_MAX + 1, "1:33: more than 32 levels deep"},
        {"- ", 100000, "1:65: more than 32 levels deep"},
        {"-\n", YTREE_NODES_MAX, "100000:2: the file holds more than 100000 values"},
        {"# text\n", YTREE_BYTES_MAX / 7 + 1, "1:1: the file is larger than 1048576 bytes"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct buf b;
        buf_init(&b, 2 * YTREE_BYTES_MAX);
        repeat(&b, rows[r].piece, rows[r].times);
        char *problem = read_as_text(buf_span(&b), false);
        assert_string_equal(problem, rows[r].problem);
        memory_free(problem);
        buf_fini(&b);
    }
}

static void a_full_arena_is_an_error(void **state)
{
    (void)state;
    struct span text = SPAN("a: [x, y, {z: 1}]\n");
    for (size_t max = 0; max < 1200; max += 16) {
        struct arena arena;
        struct ytree_problem problem;
        const struct ytree_node *root = NULL;
        arena_init(&arena, max);
        enum err e = ytree_parse(text, &arena, &problem, &root);
        assert_true(e == ERR_NO_MEMORY ? root == NULL : e == ERR_OK && root != NULL);
        arena_fini(&arena);
    }
}

static void a_text_cut_anywhere_is_read_or_refused(void **state)
{
    (void)state;
    struct span text =
        SPAN("zone: \"r\\u0041\"\nlisten:\n  - {address: 1, tls: [a, 'b']}\nص: |\n x\n");
    for (size_t len = 0; len <= text.len; len++) {
        memory_free(read_as_text(span_cut(text, 0, len), true));
    }
}

static void a_child_is_found_by_its_key(void **state)
{
    (void)state;
    struct arena arena;
    struct ytree_problem problem;
    const struct ytree_node *root;
    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(ytree_parse(SPAN("a: {b: 1}\nc: ~\nd: '~'"), &arena, &problem, &root), ERR_OK);
    assert_true(span_is(ytree_find(ytree_find(root, "a"), "b")->text, "1"));
    assert_null(ytree_find(root, "b"));
    assert_null(ytree_find(ytree_find(root, "c"), "b"));
    assert_null(ytree_find(NULL, "b"));
    assert_true(ytree_is_null(ytree_find(root, "c")));
    assert_false(ytree_is_null(ytree_find(root, "d")));
    assert_false(ytree_is_null(root));
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_subset_is_read_as_a_tree),
        cmocka_unit_test(every_value_knows_its_place),
        cmocka_unit_test(the_rest_is_refused_where_it_stands),
        cmocka_unit_test(the_limits_hold),
        cmocka_unit_test(a_full_arena_is_an_error),
        cmocka_unit_test(a_text_cut_anywhere_is_read_or_refused),
        cmocka_unit_test(a_child_is_found_by_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
