/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openai_answer.h — what a model server has said so far: an accumulator for each choice.
 *
 * Fed by the events of a stream, one after another, or by a whole reply. What a server left out, or
 * said otherwise than OpenAI does, is seen from what it said before: which tool call a delta is of
 * and whether its name is there yet, whether a choice that "stops" has called tools.
 *
 * Ownership  openai_answer_fini() frees what is held. All zero is an empty one.
 * Limits     choices 0 to 127 have an accumulator, and of each the first 128 tool calls; what lies
 *            beyond passes as it came. 48 bytes a choice behind the first, 48 a tool call. The
 *            pieces of calls whose arguments have not begun: OPENAI_HELD_MAX bytes a call, and of
 *            all calls together four times that. All of it is counted (base/memory.h).
 * Threads    any; pure.
 * Sources    OpenAI's API reference (chat completion object and chunk).
 */
#ifndef OPENAI_OPENAI_ANSWER_H
#define OPENAI_OPENAI_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#define OPENAI_CHOICES_MAX 128 /* OpenAI's own bound on n; requests for more are refused */
#define OPENAI_TOOLS_MAX   128 /* of one choice */
#define OPENAI_HELD_MAX    (64u << 10)

/* Why a choice ended. All but the first and the last are OpenAI's. */
enum openai_reason {
    OPENAI_NO_REASON, /* it goes on */
    OPENAI_STOP,
    OPENAI_LENGTH,
    OPENAI_TOOL_CALLS,
    OPENAI_CONTENT_FILTER,
    OPENAI_FUNCTION_CALL,
    OPENAI_FAILED /* it did not end, it broke */
};

struct openai_held;

/* A tool call so far. Clients are told of the calls in the order of their numbers: 0, 1, …. */
struct openai_tool {
    int64_t said;             /* the index under which the server speaks of it */
    uint64_t id, name;        /* hashes of what was said of these; 0: nothing yet */
    struct openai_held *held; /* what came before its name and arguments; NULL: nothing */
    uint16_t number;          /* once it is sent */
    bool has_arguments;
    bool is_other; /* it calls no function */
    bool is_sent;  /* the client knows of it */
};

struct openai_choice {
    int64_t said;              /* the index under which the server speaks of it */
    uint64_t written;          /* eighths of a token of all that it said (openai_count.h) */
    struct openai_tool *tools; /* of a stream; NULL: none yet */
    uint32_t again;            /* eighths of what this event says for the second time */
    uint16_t half;             /* of a character, which waits for the other; 0: none */
    uint16_t tool_count;       /* of a whole reply too */
    uint16_t tool_room;
    uint8_t last_tool; /* that the last delta was of */
    uint8_t sent;      /* calls that the client knows of */
    uint8_t reason;    /* enum openai_reason */
    bool has_begun, has_role;
    bool reasons_twice; /* this event says its reasoning under both names */
};

struct openai_answer {
    struct openai_choice first;
    struct openai_choice *others; /* those behind it; NULL until one of them begins */
    uint64_t written;             /* of all choices, those beyond the watched too */
    uint32_t held_bytes;          /* of all tool calls */
    uint16_t others_room;
    uint16_t begun, ended;     /* how many of the watched choices */
    uint16_t placed;           /* how many have a place, by which they are numbered */
    bool any_begun, any_ended; /* of all choices */
};

/* Frees what is held; the answer is empty afterwards. */
void openai_answer_fini(struct openai_answer *a);

/* The place of the choice that the server calls `said`: 0, 1, … as they began, or
 * OPENAI_CHOICES_MAX, if it is one too many. -1 without memory. */
int64_t openai_answer_place(struct openai_answer *a, int64_t said);

/* The choice of an index from 0 to OPENAI_CHOICES_MAX - 1; NULL without memory. It stays where it
 * is until a later one is asked for. */
struct openai_choice *openai_answer_choice(struct openai_answer *a, int64_t index);

#endif
