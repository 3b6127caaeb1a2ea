/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decision.h — where a call may go: what its caller wishes, which rule holds, which models that
 * names, and which of them may be asked.
 *
 *   hints → rule → candidates → filters → places
 *
 * A call that names its model has that one, unless a rule binds named calls, too. One that asks for
 * `auto-router` or `auto` has those that the first rule that holds names: its targets, by chance
 * and weight, and its fallbacks behind them. Where no rule holds, it has all models that serve it,
 * by the profile. The filters come one behind the other, and the first that leaves none decides
 * what the caller is told. They loosen nothing: a hint or a rule may only take candidates away.
 *
 * Ownership  a decision borrows from the policy, the book of prices and the request.
 * Limits     DECISION_CANDIDATES candidates; of a policy's models DECISION_MODELS_MAX are looked at
 *            where no rule names any.
 * Threads    any; what is asked is read only, but for `scratch`.
 * Sources    design.md 4 (routing, residency); docs/routing.md.
 */
#ifndef DECISION_DECISION_H
#define DECISION_DECISION_H

#include "access/access_place.h"
#include "decision/decision_session.h"
#include "http/http_fields.h"
#include "openai/openai_gist.h"
#include "openai/openai_prefix.h"
#include "policy/policy.h"
#include "policy/policy_book.h"
#include "routing/routing.h"
#include "text/text_language.h"

#define DECISION_CANDIDATES   3 /* that are asked, one after the other */
#define DECISION_GATHERED_MAX (1 + 2 * ROUTING_TARGETS_MAX) /* that a rule names */
#define DECISION_MODELS_MAX   4096
#define DECISION_POLICY_BYTES 96 /* of X-Route-Policy's value */

/* Where a call may go: a model, and one of its places. */
struct decision_candidate {
    struct policy_match match;
    uint32_t places;                  /* of the model, a bit each, that no filter has taken out */
    const struct policy_price *price; /* in force when the call began; NULL: not known */
    bool is_alone;                    /* it is asked though it fails, for nobody else is left */
    int64_t score;                    /* of those with more, the better */
    const char *why;                  /* it is one, and has this place */
    struct routing_prediction prediction; /* by examples, */
    bool is_predicted;                    /* if there is one */
    bool is_known;                        /* the place has read a beginning of what is asked */
    int64_t hedge_after_ms; /* while the one before has not answered; 0: only when that has lost */
};

/* What a caller may ask of routing. */
struct decision_hints {
    enum routing_profile profile;
    bool is_local;          /* the home zone alone: the caller says so, ... */
    bool says_local;        /* which this keeps: its key or team may say so, too */
    enum data_class class;  /* that it names, the highest; unsaid: none */
    struct span class_from; /* the member or header that names it */
};

/* What a record has of a call's text, in place of it (decision_record.h). */
struct decision_recorded {
    struct text_language language;
    struct span dialect;
    int code_permille;
    bool has_language, has_gist, has_code; /* else nobody knows these, or the gist */
    bool has_key;                          /* the key is known, and so are its tags */
    bool was_learned;                      /* examples decided */
    struct span tokens_by;                 /* how its tokens were counted; empty: not recorded */
};

struct decision_vectors;

/* What is known of a call. */
struct decision_ask {
    const struct policy *policy;
    const struct policy_book *book; /* NULL: there are no prices but the policy's */
    const struct access *rights;    /* NULL: nobody is limited */
    const struct keys *keys;        /* for the key's tags; NULL: it has none */
    const struct key_handle *key;
    const struct limits_subjects *who;
    bool (*permits)(const struct access *a, const struct key_handle *key,
                    const struct limits_subjects *who, struct span asked, struct span name);
    const struct openai_request *request;
    struct span model;     /* that was asked for, and outlives the decision */
    bool is_direct;        /* all candidates are found by that name */
    int64_t prompt_tokens; /* counted, recorded, or the high estimate: see decision_tokens() */
    const struct openai_gist *gist; /* NULL: nothing was looked for */
    const struct span *pii;         /* types of what the guard found; */
    size_t pii_count;
    bool has_pii;                           /* if it has looked */
    const struct openai_prefixes *prefixes; /* NULL: nobody asks, or there are none */
    const struct http_fields *headers;      /* NULL: there are none */
    const struct routing_search *search;    /* examples near it; NULL: nobody has looked, */
    const struct decision_vectors *vectors; /* of who explains (decision_explain.h); NULL: nobody */
    const char *unlearned;                  /* and why, where they are wanted */
    const struct decision_recorded *recorded; /* of a call that was; NULL: it is one that is */
    struct decision_hints hints;
    struct access_place place; /* where its calls may go, whatever it asks for */
    enum data_class class;     /* of its data: decision_bind() says it */
    wall_us now;
    mono_us mono;    /* the same moment */
    uint32_t chance; /* any number, of which a draw is made */
    struct condition_scratch *scratch;
};

/* What came of a rule, for who explains. */
struct decision_trace {
    enum condition_outcome *outcomes; /* of each rule up to the one that holds */
    size_t asked;                     /* how many that were */
};

struct decision {
    struct decision_candidate candidates[DECISION_CANDIDATES];
    size_t count;
    const struct routing_rule *rule; /* NULL: none holds */
    enum routing_profile profile;    /* by which they are ordered; none: they are as written */
    bool learns; /* the profile is learned; `profile` is another where there is no ask->search */
    bool is_local;
    unsigned failed;                    /* conditions that could not be decided */
    char policy[DECISION_POLICY_BYTES]; /* X-Route-Policy's value; "": none was decided */
};

/* What deciding finds on its way; good for as long as what is asked. */
struct decision_work {
    const struct decision_ask *ask;
    struct decision_candidate gathered[DECISION_GATHERED_MAX]; /* before the filters */
    size_t count;
    struct condition_facts facts;
    struct text_language language; /* of what was asked, once it is known */
    bool has_language;
    struct decision_session session; /* the same */
    bool has_session;
    int64_t prompt_tokens;     /* as rules see them, once they are known */
    struct span tokens_family; /* by whose row they are estimated; empty: by none */
    bool has_tokens;
};

/* Whether the name leaves the model to the gateway. */
bool decision_is_auto(struct span model);

/* Whether a call of this name can come to anything but the model of that name: else a decision need
 * not be asked for. */
bool decision_is_open(const struct decision_ask *ask);

/*
 * Reads hints: wishes of the body, and the headers X-Route-Policy and X-Data-Classification (which
 * may repeat). The tighter holds for where it may go, the higher of classes.
 *
 *   ERR_VALUE_INVALID  one is not known, or two profiles contradict each other; `wishes->param` and
 *                      `message` say which
 */
MUST_USE enum err decision_read_hints(struct openai_wishes *wishes,
                                      const struct http_fields *headers,
                                      struct decision_hints *out);

#define DECISION_WHY_BYTES 256

/*
 * Binds the call to what its key and team may: the home zone, and the class of its data, which is
 * what it says, else its team's.
 *
 *   ERR_SOVEREIGNTY  the class is lower than the team's, or higher than it may send; `why` says so
 */
MUST_USE enum err decision_bind(struct decision_ask *ask, char why[DECISION_WHY_BYTES]);

/* Finds the rule that holds and what it names, the best first, into `work`; none: no model is
 * configured that could be one. `trace` may be NULL. */
void decision_find(const struct decision_ask *ask, struct decision_work *work,
                   struct decision_trace *trace, struct decision *out);

/* Takes over what was found and may be asked. The first filter that leaves none: its error, and
 * what it was asked of stays. ERR_MODEL_UNKNOWN: there was none. */
MUST_USE enum err decision_choose(const struct decision_ask *ask, struct decision_work *work,
                                  struct decision *d);

/* The same of the candidates that a decision has already. */
MUST_USE enum err decision_filter(const struct decision_ask *ask, struct decision *d);

/* Adds the session, if the client names one, as the longest beginning. */
void decision_add_session(const struct decision_ask *ask, struct openai_prefixes *prefixes);

/* Notes that a candidate has read what begins so: calls that begin alike may go there. */
void decision_note_read(const struct policy *p, const struct decision_candidate *c,
                        const struct openai_prefixes *prefixes);

/* Whether the call is one of those that its rule mirrors. */
bool decision_draws_shadow(const struct decision_ask *ask, const struct decision *d);

/* Where a copy of the call may go, whose rule has a shadow: into `*out`, or why nowhere. The
 * filters are the call's, but for the key's models. */
MUST_USE enum err decision_shadow(const struct decision_ask *ask, const struct decision *d,
                                  struct decision_candidate *out);

/* Whether the decision, which was made without one, wants the vector of what is asked: examples
 * would decide between two models or more. */
bool decision_wants_vector(const struct decision_ask *ask, const struct decision *d);

/* Where what is asked may be sent to have its vector: into `*out`, or why nowhere. The filters are
 * the call's, but for the key's models and what only answers need. */
MUST_USE enum err decision_embedder(const struct decision_ask *ask, const struct decision *d,
                                    struct decision_candidate *out);

/* The same of the guard's scanner `which`, to which the texts of the call are to be shown. */
MUST_USE enum err decision_scanner(const struct decision_ask *ask, const struct decision *d,
                                   size_t which, struct decision_candidate *out);

/* Whether calls of a class may go to a place, by what binds who calls. */
bool decision_may_stand(const struct policy *policy, const struct access_place *bound,
                        enum data_class class, const struct policy_place *place);

/* Why a candidate may not be asked; ERR_OK: it may. */
enum err decision_judge(const struct decision_ask *ask, const struct decision *d,
                        const struct decision_candidate *c);

#endif
