/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h — how much may be asked: requests, tokens, calls at once and money, of a key, its user,
 * their team, its organisation, and of tags that the key bears.
 *
 * A subject is a slot of a level: the number that keys and directory gave it. What is allowed it
 * (its *terms*) is published whole and replaced whole; what was taken (its *account*) stays when
 * the terms are changed. A call holds parts of accounts: of all that apply to it, or of none.
 *
 *   limits_admit()    what needs the request's head alone: a request, and a place among the calls
 *   limits_reserve()  tokens and money, before something is sent
 *   limits_settle()   what was really used; the place is given back
 *
 * Always true: what is spent and held of a budget is never more than its limit (limits_window.h),
 * and no more requests, tokens or calls at once are let through than allowed, whoever asks at once.
 *
 * Ownership  limits_open() hands the limits to the caller, who gives them back to limits_close()
 *            when no hold is left. What a hold names stays until it is settled.
 * Limits     LIMITS_BUDGETS_MAX a subject. A subject without terms costs 8 bytes, if its
 *            neighbours have any.
 * Threads    admit, reserve, settle and look: any, at any time. put and tidy: one thread.
 * Sources    trust.md 5; docs/decisions/0088.
 */
#ifndef LIMITS_LIMITS_H
#define LIMITS_LIMITS_H

#include "base/err.h"
#include "base/slots.h"
#include "base/span.h"
#include "limits/limits_rate.h"
#include "limits/limits_window.h"

#define LIMITS_BUDGETS_MAX 32
#define LIMITS_NOBODY      SLOTS_NONE /* the slot of a level at which there is no subject */
#define LIMITS_ID_BYTES    32
#define LIMITS_NAME_BYTES  256
#define LIMITS_NAMES_MAX   384 /* of limits_hold_names(), */
#define LIMITS_NAMED_MAX   16  /* and windows that it names */

/* From the narrowest to the widest, and tags behind them: in this order they are asked. */
enum limits_level {
    LIMITS_KEY,
    LIMITS_USER,
    LIMITS_TEAM,
    LIMITS_ORGANISATION,
    LIMITS_TAG,
    LIMITS_LEVELS
};

#define LIMITS_TAGS_MAX 4 /* that one call counts in */
#define LIMITS_SLOTS    (LIMITS_TAG + LIMITS_TAGS_MAX)

/* What a limit counts. */
enum limits_kind {
    LIMITS_REQUESTS,   /* a minute */
    LIMITS_TOKENS,     /* a minute */
    LIMITS_CONCURRENT, /* calls at once */
    LIMITS_TOKEN_BUDGET,
    LIMITS_MONEY_BUDGET
};

/* A budget as one sets it. */
struct limits_wish {
    char id[LIMITS_ID_BYTES]; /* of the same id: what was spent stays, if the window is the same;
                                 without blanks, '$' and '#' */
    enum limits_kind kind;    /* one of the two budgets */
    char currency[4];         /* of money */
    char model[LIMITS_NAME_BYTES]; /* "": of every model */
    int64_t limit;                 /* tokens, or billionths of the currency */
    enum limits_span span;
    const struct limits_zone *zone; /* borrowed for good */
    int week_start;
};

/* Whose calls are served where not all can be. */
enum limits_priority {
    LIMITS_UNSAID, /* normal, if nobody says another */
    LIMITS_LOW,
    LIMITS_NORMAL,
    LIMITS_HIGH
};

/* What is allowed a subject. 0: there is no such limit. */
struct limits_terms {
    int64_t requests_per_minute, burst; /* burst 0: a whole minute's at once */
    int64_t tokens_per_minute;
    int64_t concurrent;
    int64_t answer_tokens; /* of an answer whose caller says no bound: told, not kept to here */
    enum limits_priority priority;     /* told, too */
    const struct limits_wish *budgets; /* read before the call returns */
    size_t budget_count;               /* up to LIMITS_BUDGETS_MAX */
};

struct limits;

/* Who calls: a slot a level, and from LIMITS_TAG on several tags. LIMITS_NOBODY may stand anywhere.
 */
struct limits_subjects {
    uint32_t slot[LIMITS_SLOTS];
};
#define LIMITS_SUBJECTS_NONE                                                           \
    {                                                                                  \
        {                                                                              \
            LIMITS_NOBODY, LIMITS_NOBODY, LIMITS_NOBODY, LIMITS_NOBODY, LIMITS_NOBODY, \
                LIMITS_NOBODY, LIMITS_NOBODY, LIMITS_NOBODY                            \
        }                                                                              \
    }
_Static_assert(LIMITS_SLOTS == 8, "LIMITS_SUBJECTS_NONE has as many");

/* The level of a place among them. */
static inline enum limits_level limits_level_at(size_t place)
{
    return place < LIMITS_TAG ? (enum limits_level)place : LIMITS_TAG;
}

/* Why a call is refused. */
struct limits_refusal {
    enum limits_level level;
    uint32_t slot; /* whose limit it is */
    enum limits_kind kind;
    bool is_unpriced;             /* money is limited, and what the call costs is not known */
    bool is_never;                /* it asks for more than is ever allowed at once */
    char budget[LIMITS_ID_BYTES]; /* its id; "": it is none */
    char currency[4];             /* of a money budget */
    enum limits_span span;        /* of a budget */
    int64_t limit, left, wanted;
    int64_t retry_us; /* until as much is there; of a budget 0 */
    wall_us resets;   /* when a budget's window ends; LIMITS_NEVER_US: never */
};

/* How the tightest limit of a kind stands after a call: of several the one with the least left. */
struct limits_tightest {
    int64_t limit; /* 0: there is none */
    struct limits_standing standing;
};

/* A part of an account that a call holds. */
struct limits_part;

/* What a call holds. All zero at first. */
struct limits_hold {
    struct limits_part *parts; /* the caller's, limits_parts_most() of them */
    uint32_t count, room;
    struct limits_tightest requests, tokens;
};

/* What a call may need. */
struct limits_ask {
    int64_t tokens;           /* input and the most that may be answered */
    int64_t nano;             /* what they cost at most, in billionths of */
    char currency[4];         /* "": the model has no price */
    struct span model, asked; /* as it is configured, and as the caller called it: an alias */
};

/* One moment on both clocks. */
struct limits_times {
    mono_us mono;
    wall_us wall;
};

MUST_USE enum err limits_open(struct limits **out);

/* Closes `*l` and sets it to NULL. Does nothing if it is NULL already. */
void limits_close(struct limits **l);

/*
 * Allows a subject this from now on; with all terms 0 and no budget, anything.
 *
 *   ERR_VALUE_INVALID  a number is negative or beyond LIMITS_RATE_MAX, or a burst beyond a day
 *   ERR_NO_MEMORY      what was allowed stays
 */
MUST_USE enum err limits_put(struct limits *l, enum limits_level level, uint32_t slot,
                             const struct limits_terms *terms, wall_us today);

/* Whether a subject has terms. */
bool limits_has(const struct limits *l, enum limits_level level, uint32_t slot);

/* Frees what was replaced before `turned`, a moment since when every thread that admits or reserves
 * has begun a turn of its loop, and is held no more. */
void limits_tidy(struct limits *l, mono_us turned);

/* How a budget stands; its `spent` as the store says it, at the start. False: there is none. */
MUST_USE bool limits_budget_look(const struct limits *l, enum limits_level level, uint32_t slot,
                                 struct span id, wall_us today, struct limits_balance *out);
MUST_USE bool limits_budget_restore(const struct limits *l, enum limits_level level, uint32_t slot,
                                    struct span id, wall_us at, int64_t spent);

/* A budget of which steps (limits_window.h) of its window were passed since it was told last. */
struct limits_event {
    enum limits_level level;
    uint32_t slot;
    const struct limits_wish *budget;
    int64_t limit;
    uint32_t steps;
    struct limits_balance balance;
};
typedef void limits_on_step(void *context, const struct limits_event *event);

/* Counts up when there is something to tell; and tells it, each step of a window once. The thread
 * that puts. */
uint64_t limits_news(const struct limits *l);
void limits_tell(const struct limits *l, wall_us now, limits_on_step *on_step, void *context);

/* A budget in force. */
struct limits_standing_budget {
    const struct limits_wish *is; /* what it is; good until the thread's loop turns */
    int64_t limit;                /* how much it allows now */
    struct limits_balance balance;
};

/* The budget number `i` of a subject; false: it has not so many. Any thread. */
MUST_USE bool limits_budget_at(const struct limits *l, enum limits_level level, uint32_t slot,
                               size_t i, wall_us now, struct limits_standing_budget *out);

/* How much is spent and held, in percent from 0 to 100, of the budget that is nearest its end among
 * those that count a call of these subjects and of a model of these names (limits_ask). 0: nothing,
 * or there is none; 100: nothing is left, or it allows nothing. Any thread. */
int limits_used_percent(const struct limits *l, const struct limits_subjects *who,
                        struct span model, struct span asked, wall_us now);

/* How many parts a call of these subjects may hold, and how large one is; 0: nothing limits it. */
size_t limits_parts_most(const struct limits *l, const struct limits_subjects *who);
size_t limits_part_bytes(void);

/* How requests and tokens stand, without taking any: for headers. */
void limits_look(const struct limits *l, const struct limits_subjects *who, mono_us now,
                 struct limits_tightest *requests, struct limits_tightest *tokens);

enum limits_outcome {
    LIMITS_TAKEN,
    LIMITS_REFUSED, /* `*why` is set */
    LIMITS_NO_ROOM, /* the hold has too few parts: they must be counted again */
};

/* Whether the call may begin. If not, no more is held than before. */
MUST_USE enum limits_outcome limits_admit(const struct limits *l, const struct limits_subjects *who,
                                          struct limits_hold *hold, mono_us now,
                                          struct limits_refusal *why);

/* Whether so much more may be used. If not, no more is held than before. */
MUST_USE enum limits_outcome limits_reserve(const struct limits *l,
                                            const struct limits_subjects *who,
                                            const struct limits_ask *ask, struct limits_hold *hold,
                                            const struct limits_times *now,
                                            struct limits_refusal *why);

/*
 * Takes so much more of the accounts and windows that the hold has parts of: for another try, or
 * one that may come to more than was thought. If not, no more is held than before.
 */
MUST_USE enum limits_outcome limits_extend(struct limits_hold *hold, int64_t tokens, int64_t nano,
                                           mono_us now, struct limits_refusal *why);

/*
 * Writes which budgets' windows the hold has parts of, for the call's records: of each its id, '$'
 * for money or '#' for tokens, and when the window began in unix seconds, with blanks between.
 * Returns the length; LIMITS_NAMES_MAX + 1: they are too many for a record.
 */
size_t limits_hold_names(const struct limits_hold *hold, char out[LIMITS_NAMES_MAX]);

/* Ends the hold: so many tokens were used, and so much money. */
void limits_settle(struct limits_hold *hold, int64_t tokens, int64_t nano, mono_us now);

#endif
