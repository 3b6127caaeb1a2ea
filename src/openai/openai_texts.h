/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openai_texts.h — every text that a model reads or wrote, one after another.
 *
 * One walk over the index of a request, a whole reply or an event of a stream, in the order of the
 * document. Each string is visited exactly once and told by its channel, but for what is known to
 * be no text by its place: names of models, ids, roles, types and other words from a list, vectors.
 * Of these too one that is longer than OPENAI_WORD_MAX is visited, as UNKNOWN, for it is no such
 * word; members that nobody knows are visited with all that they hold. So are the keys of what a
 * model reads as JSON (definitions, schemas, arguments) and of objects that nobody knows: whose
 * keys are words of the caller's.
 *
 *   {"model":"m","messages":[{"content":"hi","role":"user"}],"x":{"y":["z"]}}
 *
 *   USER "hi" item 0 · UNKNOWN key "y" · UNKNOWN "z"
 *
 * It goes on where it stopped: a walk over a large document is made in slices, of as many rows as
 * the caller likes, and needs nothing but this struct and the index (or one made anew of the same
 * bytes) in between. What a text says is read in pieces with a json_reader.
 *
 * Ownership  the index is borrowed; nothing else is kept.
 * Limits     no allocation, no recursion; a row costs a short time, an object of a message, choice
 *            or picture one look at its first 256 members, in which `role`, `index` and `detail`
 *            are looked for. What lies deeper than OPENAI_DEPTH_MAX containers is UNKNOWN.
 * Threads    any; pure.
 * Sources    OpenAI's API reference (chat, completions, embeddings); what vLLM, SGLang, llama.cpp
 *            and Ollama add to it.
 */
#ifndef OPENAI_OPENAI_TEXTS_H
#define OPENAI_OPENAI_TEXTS_H

#include "json/json_index.h"

#define OPENAI_WORD_MAX  128 /* bytes between the quotes */
#define OPENAI_DEPTH_MAX 128

enum openai_channel {
    OPENAI_TEXT_SYSTEM,     /* messages of the roles system and developer; instructions */
    OPENAI_TEXT_USER,       /* messages of the role user, and of roles that nobody knows */
    OPENAI_TEXT_ASSISTANT,  /* what a model said, now or earlier */
    OPENAI_TEXT_TOOL,       /* what a tool answered */
    OPENAI_TEXT_REASONING,  /* what a model thought */
    OPENAI_TEXT_REFUSAL,    /* why it will not */
    OPENAI_TEXT_NAME,       /* of a speaker, a tool, a function, a file */
    OPENAI_TEXT_ARGUMENTS,  /* of a tool call: JSON as text, or as it is */
    OPENAI_TEXT_DEFINITION, /* of a tool: description, parameters */
    OPENAI_TEXT_SCHEMA,     /* that the answer is to follow */
    OPENAI_TEXT_PROMPT,     /* of a completion, and its suffix */
    OPENAI_TEXT_INPUT,      /* to be embedded */
    OPENAI_TEXT_LOGPROB,    /* a token beside its probability: says again what was said */
    OPENAI_TEXT_LABEL,      /* the caller's own: user, metadata, stop sequences */
    OPENAI_TEXT_UNKNOWN,
    OPENAI_TEXT_MEDIA, /* pictures, sound, files: base64, a data URL or where they lie */
    OPENAI_CHANNELS
};

enum openai_media {
    OPENAI_MEDIA_NONE,
    OPENAI_MEDIA_PICTURE,
    OPENAI_MEDIA_PREVIEW, /* a picture of which little detail was asked for */
    OPENAI_MEDIA_SOUND,
    OPENAI_MEDIA_FILE /* anything else */
};

struct openai_text {
    enum openai_channel channel;
    enum openai_media media; /* of MEDIA */
    uint32_t row;            /* a JSON_STRING or JSON_KEY: says where it lies, and if escaped */
    int32_t choice;          /* of an answer: the choice it belongs to; -1: to none */
    uint32_t item;           /* of a request: which message, prompt or input; else 0 */
};

enum openai_texts_kind {
    OPENAI_TEXTS_REQUEST,
    OPENAI_TEXTS_ANSWER /* a whole reply, or an event */
};

enum openai_texts_step { OPENAI_TEXTS_ONE, OPENAI_TEXTS_LATER, OPENAI_TEXTS_END };

/* Where a walk stands. The members are the walk's own but for `messages`. */
struct openai_texts {
    const struct json_index *x;
    uint32_t row, end; /* the next one, and that behind the last */
    uint32_t items;    /* messages, prompts, inputs or choices that have begun; */
    uint32_t messages; /* of these, messages of a request */
    int32_t choice;
    uint16_t inside; /* depth of what the message or choice holds; 0: in none */
    bool is_answer;
    uint8_t role;  /* channel of the message's content */
    uint8_t media; /* kind of the picture that has begun */
    uint8_t value; /* place of the value behind the last key; 0: there was none */
    uint8_t open[OPENAI_DEPTH_MAX + 1]; /* places of the containers around `row` */
};

/* Begins a walk over `x`, which holds one document. */
void openai_texts_begin(struct openai_texts *t, const struct json_index *x,
                        enum openai_texts_kind kind);

/* Begins a walk over the object `choice` of an answer, and nothing else of it. */
void openai_texts_begin_choice(struct openai_texts *t, const struct json_index *x, uint32_t choice);

/*
 * Goes on to the next text. `*rows` is how many rows may be looked at, and is less by those that
 * were.
 *
 *   OPENAI_TEXTS_ONE    `*out` is the next text
 *   OPENAI_TEXTS_LATER  `*rows` are used up: there may be more
 *   OPENAI_TEXTS_END    there is none
 */
enum openai_texts_step openai_texts_next(struct openai_texts *t, uint32_t *rows,
                                         struct openai_text *out);

/* The channel's name, for people: "system". */
const char *openai_channel_name(enum openai_channel channel);

#endif
