/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_guard.c — what it costs to scan a text: by the byte, of a prompt, of a streamed piece.
 *
 *   bench_guard [WORD [TYPES]]   the texts whose names begin with WORD, for types by their bits
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "guard/guard_scan.h"

#define TEXT    (1u << 20)
#define PIECE   16384u /* as calls feed it */
#define PROMPT  1700u
#define EVENT   5u
#define REPEATS 10

static struct guard_scratch *scratch;
static size_t findings;
static struct guard_wanted wanted = {.types = UINT32_MAX};
static const char *chosen = "";

static const char english[] =
    "The committee will meet again in spring to discuss how the new library should be run, who "
    "pays "
    "for it, and whether it opens on Fridays. Nobody who was asked (and many were) had a strong "
    "opinion: most people, it seems, just want a quiet place with good light - and coffee. ";
static const char arabic[] =
    "ستجتمع اللجنة مرة أخرى في الربيع لمناقشة كيفية إدارة المكتبة الجديدة، ومن يدفع تكاليفها، وهل "
    "تفتح أبوابها أيام الجمعة. لم يكن لدى أحد ممن سئلوا رأي قاطع: يبدو أن معظم الناس يريدون مكانا "
    "هادئا بإضاءة جيدة وقهوة طيبة. ";
static const char tatweel[] =
    "ســتجتمع اللجنـة في ٢٠٢٤ لمناقشة ١٢٣ بندا، ثم تنتقل إلى القاعـة رقم ٧. ";
static const char digits[] =
    "2024-05-12 14:33:07 INFO item 48213 qty 12 price 1,299.00 total 15588.00 ref A-99120, lat "
    "24.7136 lon 46.6753, took 183 ms, 200 4096 bytes, v2.14.3, 10.5% of 7320 rows in 48 parts. ";
static const char code[] =
    "for (size_t i = 0; i < count; i++) {\n    total += table[i].weight * 3.14;  // see #123\n}\n"
    "def f(x: int) -> str:\n    return \"a-b\" + str(x[0])\n";
static const char personal[] =
    "Contact ahmed.ali@corp.sa or +966 50 123 4567, id 1000000008, card 4111 1111 1111 1111, "
    "IBAN SA03 8000 0000 6080 1016 7519, from 185.23.14.9. ";

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* it is there */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void scan(struct span text, size_t size)
{
    struct guard_scan s;
    struct guard_out out;
    guard_scan_begin(&s, &wanted);
    for (size_t at = 0; at < text.len; at += size) {
        if (guard_scan_feed(&s, scratch, span_cut(text, at, size), false, &out) != ERR_OK) {
            exit(1);
        }
        findings += out.count;
    }
    if (guard_scan_feed(&s, scratch, SPAN(""), true, &out) != ERR_OK) {
        exit(1);
    }
    findings += out.count;
}

/* Nanoseconds of a scan of so much of the text, in pieces of `size`. */
static double measure(struct span text, size_t size, unsigned repeats)
{
    double begun = now_ns();
    for (unsigned i = 0; i < repeats; i++) {
        scan(text, size);
    }
    return (now_ns() - begun) / repeats;
}

static void report(const char *what, const char *piece)
{
    static char text[TEXT];
    size_t len = strlen(piece), whole = TEXT / len * len;
    if (strncmp(what, chosen, strlen(chosen)) != 0) {
        return;
    }
    for (size_t at = 0; at < whole; at += len) {
        memcpy(text + at, piece, len);
    }
    struct span all = span_make(text, whole), prompt = span_cut_text(all, PROMPT);
    measure(all, PIECE, 2);
    double wide = measure(all, PIECE, REPEATS);
    double one = measure(prompt, PROMPT, REPEATS * 100);
    double events = measure(span_cut(all, 0, 1u << 16), EVENT, REPEATS);
    printf("%-10s %6.0f MB/s, %5.2f us a prompt of %u B, %5.0f ns a piece of %u B\n", what,
           (double)whole * 1e3 / wide, one / 1e3, PROMPT, events / ((1u << 16) / (double)EVENT),
           EVENT);
}

int main(int argc, char **argv)
{
    chosen = argc > 1 ? argv[1] : chosen;
    wanted.types = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : wanted.types;
    if (guard_scratch_new(&scratch) != ERR_OK) {
        return 1;
    }
    report("English", english);
    report("Arabic", arabic);
    report("tatweel", tatweel);
    report("digits", digits);
    report("code", code);
    report("personal", personal);
    guard_scratch_free(&scratch);
    return findings == 0;
}
