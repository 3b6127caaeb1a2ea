/* SPDX-License-Identifier: Apache-2.0 */
/* test_text_code.c — prose is no code, whatever it speaks of, and code is none of prose. */
#include "unit.h"

#include "text/text_code.h"

struct sample {
    const char *name, *text;
};

static const struct sample prose[] = {
    {"nothing", ""},
    {"blanks", " \n\t\n\r\n"},
    {"a word", "hello"},
    {"a word that programs begin with", "let me"},
    {"Arabic", "ما هي عاصمة المملكة العربية السعودية؟ وكم عدد سكانها؟"},
    {"Arabic with terms",
     "كيف أستخدم docker compose مع PostgreSQL (الإصدار 15)؟\nأريد شرحا: خطوة بخطوة"},
    {"Arabic with an address", "لخص لي هذه الصفحة https://example.com/a/b?c=d&e=f#g من فضلك"},
    {"Arabic list", "أحتاج إلى:\n1. خبز؛\n2. حليب؛\n- تفاح\n- برتقال"},
    {"English", "What is the capital of France, please? I would like to know; thank you."},
    {"English with addresses",
     "Compare https://a.example/x?y=1&z=2 and http://b.example/index.php?id=3; which is better?"},
    {"an address", "https://example.com/path/to/page.html?query=1&other=2"},
    {"English of code",
     "How do I call `foo(a, b)` and `bar->baz()` in C++ (not C#)? See file main.c"},
    {"English of code without marks",
     "Why does calling foo() return None in the python class of mine?"},
    {"arrows", "Open Settings -> Network -> Proxy and switch it off"},
    {"keywords first",
     "import the file into the sheet\nclass of 1999\nfor each of them, say why\nif you can\n"
     "return to sender\nselect the best one from the list\nuse the other\nwhile I wait\n"
     "from here to there\nwith all of them\ntype of contract:\nat the end of the day"},
    {"capitals", "WHERE IS MY ORDER\nSELECT THE BEST ANSWER\nFROM NOW ON\nUPDATE ME ON THIS"},
    {"a letter", "Dear Sir,\n\n    thank you for the report_v2.pdf that you sent (it was long);\n"
                 "    I shall answer by 5pm.\n\nYours,\nA. B."},
    {"markdown",
     "# A title\n\n- one thing\n- *another* thing\n\n1. first\n2. second\n\n> said **she**\n"},
    {"a table", "| name | age |\n|------|-----|\n| Ali  | 30  |\n| Sara | 28  |"},
    {"a sum", "If x = 5 and y = 3, what is the value of x + y?"},
    {"French", "Pouvez-vous m'expliquer : pourquoi l'eau (H2O) bout-elle à 100 °C ?"},
    {"Chinese", "请解释一下什么是人工智能，并举例说明它的应用。"},
    {"no UTF-8", "\xff\xfe\x80 \xc3"},
};

static const struct sample code[] = {
    {"C", "#include <stdio.h>\n\nint main(void)\n{\n    int i;\n    for (i = 0; i < 3; i++) {\n"
          "        printf(\"%d\\n\", i);\n    }\n    return 0;\n}\n"},
    {"a function of C",
     "static int find(const struct list *l, int x)\n{\n    return l->first == x;\n}"},
    {"Python",
     "def add(a, b):\n    \"\"\"Adds two numbers.\"\"\"\n    return a + b\n\nfor i in range(3):\n"
     "    total = add(i, 1)\n    print(total)\n"},
    {"Python, of a class",
     "class Cat(Animal):\n    def __init__(self, name):\n        self.name = name\n"},
    {"Python with Arabic", "def greet(name):\n    # يطبع التحية\n    print(\"مرحبا \" + name)\n"},
    {"JavaScript", "const add = (a, b) => a + b;\nasync function load(url) {\n"
                   "  const got = await fetch(url);\n  return got.json();\n}\n"},
    {"TypeScript", "export interface User {\n  id: number;\n  name?: string;\n}\n"},
    {"Java", "public class Main {\n    public static void main(String[] args) {\n"
             "        System.out.println(\"hi\");\n    }\n}\n"},
    {"Go", "package main\n\nimport \"fmt\"\n\nfunc main() {\n\tx := []int{1, "
           "2}\n\tfmt.Println(len(x))\n}\n"},
    {"Rust", "fn main() {\n    let v: Vec<i32> = vec![1, 2];\n    println!(\"{}\", v.len());\n}\n"},
    {"SQL", "SELECT u.name, count(*) FROM users u\nJOIN orders o ON o.user_id = u.id\n"
            "WHERE o.total > 100\nGROUP BY u.name\nORDER BY 2 DESC;"},
    {"SQL in small letters", "select * from users where id = 3;"},
    {"JSON",
     "{\n  \"name\": \"atlas\",\n  \"tags\": [\n    \"a\",\n    \"b\"\n  ],\n  \"n\": 3\n}"},
    {"JSON in a line",
     "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hello to you\"}]}"},
    {"HTML", "<div class=\"a\">\n  <p>Hello there</p>\n  <br/>\n</div>"},
    {"CSS", ".box {\n  color: red;\n  margin: 0 auto;\n}\n"},
    {"shell", "#!/bin/sh\nset -eu\nfor f in *.c; do\n    gcc -c \"$f\" -o \"${f%.c}.o\"\ndone\n"},
    {"commands", "$ git commit -m \"one\"\n$ docker run --rm -it alpine sh"},
    {"a log", "2026-01-02T03:04:05Z ERROR failed to connect to the database host\n"
              "2026-01-02T03:04:06Z INFO trying again in five seconds\n"},
    {"a log with brackets",
     "[2026-01-02 03:04:05] app.ERROR: could not open the file for reading\n"},
    {"a trace of Python",
     "Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\n"
     "    x = 1 / 0\nZeroDivisionError: division by zero\n"},
    {"a trace of Java",
     "Exception in thread \"main\" java.lang.NullPointerException\n"
     "\tat com.example.Main.run(Main.java:12)\n\tat com.example.Main.main(Main.java:5)\n"},
    {"a trace of Go",
     "panic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:\n"
     "main.main()\n\t/app/main.go:12 +0x1d\n"},
    {"a diff",
     "diff --git a/x.c b/x.c\nindex 123..456 100644\n--- a/x.c\n+++ b/x.c\n@@ -1,3 +1,3 @@\n"
     " one line\n-another line that goes\n+another line that comes\n"},
    {"CRLF", "int f(int x)\r\n{\r\n    return x;\r\n}\r\n"},
    {"a fence", "```\nwhatever it may be\n```"},
    {"a fence that is not closed", "~~~python\nx\n"},
};

static void prose_is_no_code(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(prose); i++) {
        int permille = text_code_permille(span_of(prose[i].text));
        if (permille > 30) {
            fail_msg("%s: %d", prose[i].name, permille);
        }
    }
}

static void code_is_code(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(code); i++) {
        int permille = text_code_permille(span_of(code[i].text));
        if (permille < 700 || permille > 1000) {
            fail_msg("%s: %d", code[i].name, permille);
        }
    }
}

static void what_is_mixed_is_told_by_its_share(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int least, most;
    } rows[] = {
        {"Why does this fail?\n```\nx = 1\n```", 208, 208}, /* 5 of 24 characters */
        {"لماذا لا يعمل هذا البرنامج؟\n```python\nprint(1)\n```\nشكرا جزيلا لك", 100, 300},
        {"````\n```\ninside\n```\n````\noutside of it", 480, 520}, /* a longer fence holds it */
        {"~~~\nx\n```\n~~~\nprose it is again", 150, 250},
        {"``` not a fence ``` for it ends in its line", 0, 0},
        {"    ```\nno fence, indented so far", 0, 150},
        {"Please fix this function for me, it returns too little:\n\nint add(int a, int b)\n{\n"
         "    return a - b;\n}\n",
         350, 650},
        {"diff --git a/x b/x\n+a line\nWhat does this do, and why is it here?", 300, 500},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        int permille = text_code_permille(span_of(rows[i].text));
        if (permille < rows[i].least || permille > rows[i].most) {
            fail_msg("%s: %d", rows[i].text, permille);
        }
    }
}

static void the_beginning_of_a_text_counts(void **state)
{
    (void)state;
    char text[8192];
    memset(text, 'a', sizeof(text));
    memcpy(text, "x = f(1);\n", 10);
    int whole = text_code_permille(span_make(text, sizeof(text)));
    assert_int_equal(whole, text_code_permille(span_make(text, TEXT_CODE_BYTES)));
    assert_in_range(whole, 5, 15);
}

/* A line or a bracket a byte, an open mark on each. */
static void what_is_odd_is_read_all_the_same(void **state)
{
    (void)state;
    static const char bytes[] = "\n`~({=:/\\ \t\xd8\0a1";
    char text[TEXT_CODE_BYTES];
    for (size_t i = 0; i + 1 < sizeof(bytes); i++) {
        for (size_t k = 0; k + 1 < sizeof(bytes); k++) {
            for (size_t at = 0; at < sizeof(text); at++) {
                text[at] = bytes[at % 3 == 0 ? i : k];
            }
            for (size_t len = 0; len < 8; len++) {
                assert_in_range(text_code_permille(span_make(text, len)), 0, 1000);
            }
            assert_in_range(text_code_permille(span_make(text, sizeof(text))), 0, 1000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prose_is_no_code),
        cmocka_unit_test(code_is_code),
        cmocka_unit_test(what_is_mixed_is_told_by_its_share),
        cmocka_unit_test(the_beginning_of_a_text_counts),
        cmocka_unit_test(what_is_odd_is_read_all_the_same),
    };
    return cmocka_run_group_tests_name("text_code", tests, NULL, NULL);
}
