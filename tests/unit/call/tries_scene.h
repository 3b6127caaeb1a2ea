/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tries_scene.h — calls that may go to two candidates: "m" at home, "away" abroad, which waits for
 * its intent to be on the disk.
 */
#ifndef TESTS_CALL_TRIES_SCENE_H
#define TESTS_CALL_TRIES_SCENE_H

#include "world_scene.h"

static struct world w;

#define ASKED CHAT_BODY(",'stream':true")
#define AWAY_REPLY                                                                           \
    "{" SAID "'choices':[{'message':{'content':'far'},'index':0}],'usage':{'prompt_tokens':" \
    "4,'completion_tokens':1}}"
#define AWAY_SHOWN                                                                           \
    "{" SAID "'choices':[{'message':{'content':'far','role':'assistant'},'index':0,'finish_" \
    "reason':'stop'}],'usage':{'prompt_tokens':4,'completion_tokens':1,'total_tokens':5},'"  \
    "model':'away'}"

/* A call that may go to both; the second is asked when the first has not answered after so long. */
static inline void begin(const char *body, int64_t hedge_after_ms)
{
    world_open(&w);
    w.others[0] = "away";
    w.hedge_after_ms = hedge_after_ms;
    w.durable = 100;
    w.scripts[0].body = CHAT_REPLY;
    w.scripts[1].body = AWAY_REPLY;
    if (body != NULL) {
        world_chat(&w, body);
    }
}

/* What the five counts of a call must be: what its client saw is one answer, and of its intents, of
 * the requests that its servers saw, of its ends (one completion, and one for each try that lost)
 * and of what these cost none is there twice or missing. */
static inline void expect_counts(unsigned intents, unsigned sent, int64_t tokens_in,
                                 const char *upstream)
{
    assert_int_equal(w.intents, intents);
    assert_int_equal(w.sent, sent);
    assert_int_equal(w.completions, 1);
    assert_int_equal(w.completion.attempts_sent, sent);
    assert_int_equal(w.completion.tokens_in, tokens_in);
    assert_true(says(&w.completion, JOURNAL_TEXT_UPSTREAM, upstream));
    assert_int_equal(w.try_ends, intents == 0 ? 0 : intents - 1);
    unsigned ends_sent = 0, places = 0;
    for (unsigned i = 0; i < w.try_ends; i++) {
        ends_sent += w.lost[i].sent;
        places |= 1u << w.lost[i].attempt;
        assert_true(w.lost[i].attempt >= 1 && w.lost[i].attempt <= intents);
        assert_true(w.lost[i].sent || w.lost[i].cost_nano == 0);
    }
    assert_int_equal(__builtin_popcount(places), w.try_ends); /* each its own */
    assert_true(ends_sent <= sent && sent <= ends_sent + 1);
}

/* The end of the try number `number`. */
static inline const struct journal_record *end_of(unsigned number)
{
    for (unsigned i = 0; i < w.try_ends; i++) {
        if (w.lost[i].attempt == number) {
            return &w.lost[i];
        }
    }
    fail_msg("try %u has no end", number);
    return &w.lost[0];
}

#endif
