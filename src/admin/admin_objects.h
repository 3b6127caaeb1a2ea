/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_objects.h — what the admin API takes and gives, as the tables of admin_objects.def say it.
 *
 * An object is a struct admin_<name>; a row of the table says for each of its fields how it is read
 * from a request, what it may be, and how it is written. So no operation reads or writes JSON by
 * itself.
 *
 * Ownership  spans of what was read lie in the request or the arena; of what is written, the
 *            caller's.
 * Threads    any.
 * Sources    docs/formats/admin-api.md; RFC 3339 (times).
 */
#ifndef ADMIN_ADMIN_OBJECTS_H
#define ADMIN_ADMIN_OBJECTS_H

#include "admin/admin_right.h"
#include "base/clock.h"
#include "base/data_class.h"
#include "keys/keys_change.h"
#include "json/json_value.h"
#include "json/json_write.h"

#ifndef ADMIN_OBJECTS_TABLE
#define ADMIN_OBJECTS_TABLE "admin/admin_objects.def" /* a test of the kinds has its own */
#endif

#define ADMIN_TAG_BYTES   32   /* an entity tag, quotes and all, with its NUL */
#define ADMIN_LINES_BYTES 4096 /* of all lines of names or tags together */

/* The words of choices; the number of a word is its place here, from 0. */
#define ADMIN_KEY_KINDS       "live|test|admin"
#define ADMIN_KEY_STATES      "active|revoked|expired|no pepper|damaged"
#define ADMIN_KEY_SCOPES      "chat|completions|embeddings|models|moderations"
#define ADMIN_KEY_SECRETS     "current|previous"
#define ADMIN_LIVES           "active|ended"
#define ADMIN_CLASSES         DATA_CLASSES
#define ADMIN_USER_ROLES      "developer|auditor|operator|admin|owner"
#define ADMIN_EACH            "key|user"
#define ADMIN_PRIORITIES      "low|normal|high"
#define ADMIN_UNITS           "money|tokens"
#define ADMIN_WINDOWS         "day|week|month|total"
#define ADMIN_WEEK_DAYS       "sunday|monday|tuesday|wednesday|thursday|friday|saturday"
#define ADMIN_THRESHOLDS      "50|80|100"
#define ADMIN_PRICE_STATES    "active|to come|ended"
#define ADMIN_PRICE_SOURCES   "set|configuration"
#define ADMIN_LEVELS          "warn|error"
#define ADMIN_STATES          "ok|not ready|starting or stopping"
#define ADMIN_SERVES          "calls|admin"
#define ADMIN_UPSTREAM_STATES "up|down|not used"
#define ADMIN_SERVER_STATES   "up|half-open|open|paused|down|draining"

enum admin_key_state {
    ADMIN_KEY_ACTIVE,
    ADMIN_KEY_REVOKED,
    ADMIN_KEY_EXPIRED,
    ADMIN_KEY_NO_PEPPER,
    ADMIN_KEY_DAMAGED
};

enum admin_state { ADMIN_OK, ADMIN_NOT_READY, ADMIN_NOT_SERVING };

enum admin_upstream_state { ADMIN_UPSTREAM_UP, ADMIN_UPSTREAM_DOWN, ADMIN_UPSTREAM_UNUSED };

/* Kinds of members, and what they are in C. */
enum admin_kind {
    ADMIN_TEXT,    /* struct span */
    ADMIN_INT,     /* int64_t */
    ADMIN_BOOL,    /* bool */
    ADMIN_TIME,    /* wall_us; 0: null. RFC 3339 */
    ADMIN_MOMENT,  /* the same, as whole seconds since 1970; a request may say RFC 3339, too */
    ADMIN_DAY,     /* int32_t: days since 1970-01-01; "2026-11-24" */
    ADMIN_HOUR,    /* int32_t: hours since then; "2026-11-24T14:00Z". A parameter may be a day */
    ADMIN_CHOICE,  /* int: one of the words, by its number */
    ADMIN_CHOICES, /* uint32_t: some of the words, bit n for the word of number n */
    ADMIN_NAMES,   /* struct span: "a\nb", a line each, as JSON ["a","b"] */
    ADMIN_TAGS,    /* struct span: "a=1\nb=2", sorted, as JSON {"a":"1","b":"2"} */
    ADMIN_MONEY,   /* int64_t: billionths, as JSON "100.00" (base/money.h) */
    ADMIN_AMOUNT,  /* struct admin_amount: money, or a whole number of tokens, as JSON "100.00" */
    ADMIN_NUMBERS, /* uint32_t: some of the words, which are numbers; of replies alone */
    ADMIN_JSON,    /* struct span: an object of JSON, as it was given; another part judges it */
    ADMIN_PART,    /* the struct of another object, which has no parts itself */
    ADMIN_PARTS    /* struct admin_parts; of replies alone */
};

struct admin_parts {
    const void *at; /* structs of the object, one behind the other */
    size_t count;
};

enum admin_rule {
    ADMIN_NEEDED = 1U << 0, /* a request that makes the object must say it */
    ADMIN_MADE = 1U << 1,   /* the gateway says it; no request may */
    ADMIN_FIXED = 1U << 2,  /* only the request that makes the object may say it */
    ADMIN_MAYBE = 1U << 3,  /* may be null, which is zero: an empty text, a time or number of 0, a
                               part of nothing else. A choice's words count from 1 then */
    ADMIN_ONCE = 1U << 4,   /* a secret: left out where its text is empty */
    ADMIN_LATER = 1U << 5,  /* a time to come */
    ADMIN_PRINTABLE = 1U << 6, /* no control characters */
    ADMIN_COLUMN = 1U << 7,    /* of the command line's list */
    ADMIN_FOLLOWS = 1U << 8,   /* from the others, the clock or a file: no part of the ETag */
    ADMIN_EXACT = 1U << 9,     /* money with all its nine places; else it is rounded to six */
    ADMIN_ASKED = 1U << 10     /* only where it was asked for: admin_object_write_asked() */
};

struct admin_limits {
    int64_t requests_per_minute, burst, tokens_per_minute, tokens_per_day, concurrent, max_tokens;
    int priority; /* enum limits_priority */
};

struct admin_key {
    struct span user, plan, models, ip_allowlist, tags;
    struct admin_limits limits;
    struct span id, key, name, team;
    int kind;   /* enum key_kind less 1 */
    int status; /* enum admin_key_state */
    int role;   /* enum key_role and 1; 0: none */
    uint32_t scopes;
    wall_us created_at, expires_at, revoked_at;
    struct span sha256;
    bool imported, local_only;
    int64_t rotate_every_s;
    wall_us rotated_at, rotation_due_at, previous_expires_at;
    wall_us last_used_at;
    struct span last_used_ip;
    int last_used_secret; /* 0: not used; 1 by its own, 2 by the one before */
};

struct admin_rotation {
    int64_t grace_s;
};

struct admin_ended_key {
    struct span id;
    int status; /* enum admin_key_state */
    wall_us revoked_at;
};

struct admin_organisation {
    struct span id, name;
    struct admin_limits limits;
    int status; /* 1: ended */
    wall_us created_at, ended_at;
};

struct admin_team {
    struct span id, name, organisation, plan, plan_name, models, region, regions, guard;
    int max_class, default_class;
    bool local_only;
    struct admin_limits limits, key_limits, user_limits;
    int status; /* 1: ended */
    wall_us created_at, expires_at, ended_at;
};

struct admin_evaluation {
    struct span id, name, team, organisation, plan, key, key_id, models;
    int64_t days;
    int status; /* 1: ended */
    wall_us created_at, expires_at, ended_at;
};

struct admin_user {
    struct span id, name, team;
    int role;
    struct admin_limits limits;
    int status; /* 1: ended */
    wall_us created_at, ended_at;
};

struct admin_plan {
    struct span id, name;
    struct admin_limits limits;
    int status; /* 1: ended */
    wall_us created_at, ended_at;
};

struct admin_limit {
    struct span id, organisation, team, user, key, plan, tag;
    int each, priority;
    int64_t requests_per_minute, burst, tokens_per_minute, tokens_per_day, concurrent, max_tokens;
};

/* Of a request both, as its text may be read; -1: it cannot be that. Of a reply one of them, and
 * -1.
 */
struct admin_amount {
    int64_t nano, tokens;
};

struct admin_budget {
    struct span id, organisation, team, user, key, tag, model, currency, time_zone;
    int each, unit, window, week_starts;
    struct admin_amount amount, spent, held, beyond;
    uint32_t thresholds_passed;
    int status; /* 1: ended */
    wall_us resets_at, created_at, ended_at;
};

struct admin_price {
    struct span id, model, currency;
    wall_us from;
    int64_t input, cached_input, output, per, request, gpu_second;
    int source, status; /* by their words */
    wall_us created_at, ended_at;
};

struct admin_usage {
    struct span organisation, organisation_name, team, team_name, user, user_name, key, key_name;
    struct span model, upstream, route, currency;
    int32_t day, hour;
    int64_t calls, failed, interrupted, refused, requests, estimated;
    int64_t tokens_in, tokens_cached, tokens_out, tokens_reasoning, bytes_in, bytes_out;
    int64_t cost, energy_wh, gco2e; /* billionths */
};

struct admin_policy {
    int64_t version;
    struct span digest, by;
    wall_us since;
};

struct admin_policy_text {
    int64_t version;
    struct span digest, by, policy, settings, models, rules;
    wall_us since;
};

struct admin_problem {
    struct span kind, subject, message;
    int level;
    wall_us since;
};

struct admin_readiness {
    int status; /* enum admin_state */
    struct admin_parts problems;
};

struct admin_liveness {
    int status; /* 0 */
};

struct admin_journal_state {
    int64_t last;
    struct span error;
};

struct admin_store_state {
    int64_t last, lacks;
    struct span error;
};

struct admin_disk_state {
    struct span path;
    int64_t free, size;
};

struct admin_model_server {
    struct span name, kind, region, zone;
    int clearance; /* enum data_class less 1 */
    int state;     /* enum deployment_state */
    int64_t in_flight, waiting, p50_ms, p95_ms, attempts, errors, retry_in_s;
    int64_t load_running, load_waiting, load_kv_percent, load_age_ms;
    struct span error;
};

struct admin_upstream {
    struct span name, error, omits;
    int state; /* enum admin_upstream_state */
    wall_us since;
    int64_t in_flight, connections, attempts, failures;
};

struct admin_listener {
    struct span url;
    int serves; /* 1: admin */
};

struct admin_status {
    int object; /* 0 */
    struct span version;
    int status; /* enum admin_state */
    wall_us since, now;
    int64_t workers, calls, connections, buffered, buffered_max;
    struct admin_journal_state journal;
    struct admin_store_state store;
    struct admin_disk_state disk;
    struct admin_parts listeners, upstreams, problems;
};

// NOLINTBEGIN(readability-identifier-naming): a name of the table as it is
enum admin_object {
    ADMIN_OBJECT_none,     /* nothing */
    ADMIN_OBJECT_text,     /* Prometheus's form */
    ADMIN_OBJECT_document, /* JSON of another's making */
#define OBJECT(name, help) ADMIN_OBJECT_##name,
#define FIELD(object, member, kind, rules, least, most, words, example, help)
#include ADMIN_OBJECTS_TABLE
#undef FIELD
#undef OBJECT
    ADMIN_OBJECTS
};
// NOLINTEND(readability-identifier-naming)

/* The places of the fields in the table, and where each object's begin. */
enum {
    ADMIN_BEFORE_ALL = -1,
#define OBJECT(name, help) ADMIN_FIRST_##name, ADMIN_BEFORE_##name = ADMIN_FIRST_##name - 1,
#define FIELD(object, member, kind, rules, least, most, words, example, help) \
    ADMIN_FIELD_##object##_##member,
#include ADMIN_OBJECTS_TABLE
#undef FIELD
#undef OBJECT
    ADMIN_FIELDS
};

/* The bit of a field in the set of those that a request gave. */
#define ADMIN_GAVE(object, member) \
    ((uint64_t)1 << (ADMIN_FIELD_##object##_##member - ADMIN_FIRST_##object))

struct admin_field {
    enum admin_object object;
    enum admin_kind kind;
    const char *name;
    unsigned rules; /* a set of enum admin_rule */
    int64_t least, most;
    const char *words, *example, *help;
    size_t offset; /* in the object's struct */
};

/* What is wrong with a request, where there is more to say than the error does. */
struct admin_fault {
    char param[64];    /* the member or parameter at fault; "": none */
    char message[320]; /* a sentence that says what to do; "": the error's own */
};

/* How a request uses an object. */
enum admin_use { ADMIN_MAKES, ADMIN_CHANGES };

/* The fields of `object`, `*count` of them. */
const struct admin_field *admin_fields(enum admin_object object, size_t *count);

/* "key", and what it is. */
const char *admin_object_name(enum admin_object object);
const char *admin_object_help(enum admin_object object);

/* How large its struct is. */
size_t admin_object_size(enum admin_object object);

/* Whether a field is zero: what null is. */
bool admin_field_is_nothing(const struct admin_field *field, const void *at);

/* The object that a part is, or its parts are. */
enum admin_object admin_part_of(const struct admin_field *field);

/* Whether a request of this use may say the field. */
bool admin_field_is_taken(const struct admin_field *field, enum admin_use use);

/* Says what is wrong, and returns `e`. */
enum err admin_fault_say(struct admin_fault *fault, enum err e, struct span param,
                         const char *format, ...) PRINTF_LIKE(4, 5);

/* A body that is read as an object. */
struct admin_reading {
    enum admin_object object;
    enum admin_use use;
    struct span body;
    wall_us now;
    struct arena *arena; /* for texts with escapes */
    struct admin_fault *fault;
    uint64_t given; /* out: the set of the fields that were said, ADMIN_GAVE() */
};

/*
 * Reads the JSON of a body into `out`, the object's struct, by its table, as JSON merge patch (RFC
 * 7396) says: what is not said stays in `out` as it was, in a part, too; what is null becomes zero,
 * where the table lets it. So `out` may hold what there is, and is then what there shall be.
 *
 *   ERR_BODY_NOT_JSON, ERR_BODY_NOT_OBJECT, ERR_JSON_…
 *   ERR_VALUE_MISSING, ERR_VALUE_INVALID  `fault` says which, and what to do
 *   ERR_NO_MEMORY
 */
MUST_USE enum err admin_object_read(struct admin_reading *reading, void *out);

/* Writes an object, without the fields that are ADMIN_ASKED. */
void admin_object_write(struct json_writer *w, enum admin_object object, const void *in);

/* The same with those of them that are in `asked`, a set of ADMIN_GAVE(). */
void admin_object_write_asked(struct json_writer *w, enum admin_object object, const void *in,
                              uint64_t asked);

/* Whether an object that is written so has the field, which is one of its own. */
bool admin_field_is_asked(const struct admin_field *field, uint64_t asked);

/* Writes an hour as admin_hour_read() takes it. */
#define ADMIN_HOUR_BYTES 24
void admin_hour_write(int32_t hour, char out[ADMIN_HOUR_BYTES]);

/*
 * Writes the object's ETag: it is of what the object says, so it is the same wherever that is known
 * from, and another as soon as it says something else.
 *
 *   ERR_NO_MEMORY
 */
MUST_USE enum err admin_object_tag(enum admin_object object, const void *in,
                                   char out[ADMIN_TAG_BYTES]);

/* The `n`-th word of "a|b|c"; {NULL, 0} past the last. */
struct span admin_word(const char *words, size_t n);

/* Reads a day such as "2026-11-24", or a time such as "2026-11-24T03:00:00.5+03:00"; false if it is
 * none, or before 1970. */
MUST_USE bool admin_day_read(struct span text, int32_t *out);
MUST_USE bool admin_time_read(struct span text, wall_us *out);

/* Reads an hour such as "2026-11-24T14:00Z", or the first one of a day such as "2026-11-24", in
 * hours since 1970. */
MUST_USE bool admin_hour_read(struct span text, int32_t *out);

#endif
