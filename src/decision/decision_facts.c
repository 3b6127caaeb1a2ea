/* SPDX-License-Identifier: Apache-2.0 */
/* What conditions ask of a call, found when it is first asked for. */
#include "decision/decision_internal.h"

#include "text/text_code.h"

static const struct text_language *language(struct decision_work *w)
{
    if (!w->has_language) {
        w->language = text_language_of(w->ask->gist == NULL ? SPAN("") : w->ask->gist->asked);
        w->has_language = true;
    }
    return &w->language;
}

/* Of an Arabic text its dialect; of any other none. */
static struct span dialect(struct decision_work *w)
{
    if (w->ask->recorded != NULL) {
        return w->ask->recorded->dialect;
    }
    const struct text_language *l = language(w);
    bool is_arabic = strcmp(l->language, "ar") == 0 && strcmp(l->script, "Arab") == 0;
    return is_arabic ? span_of(text_dialect_of(w->ask->gist->asked)) : SPAN("");
}

static struct span session(struct decision_work *w)
{
    if (!w->has_session) {
        decision_session_find(w->ask, &w->session);
        w->has_session = true;
    }
    return span_make(w->session.id, w->session.len);
}

/* Of what was asked last, as for the language. */
static double code_share(const struct decision_work *w)
{
    const struct openai_gist *gist = w->ask->gist;
    if (w->ask->recorded != NULL) {
        return w->ask->recorded->code_permille / 1000.0;
    }
    return gist == NULL ? 0 : text_code_permille(gist->asked) / 1000.0;
}

struct text_language decision_language(struct decision_work *work)
{
    return *language(work);
}

struct span decision_dialect(struct decision_work *work)
{
    return dialect(work);
}

static struct span name_of(struct decision_work *w, enum limits_level level)
{
    const struct decision_ask *ask = w->ask;
    return ask->rights == NULL ? SPAN("") : access_name(ask->rights, level, ask->who->slot[level]);
}

static const char *endpoint_name(enum openai_endpoint endpoint)
{
    static const char *const names[] = {[OPENAI_CHAT] = "chat",
                                        [OPENAI_COMPLETIONS] = "completions",
                                        [OPENAI_EMBEDDINGS] = "embeddings"};
    return names[endpoint];
}

static bool find_text(struct decision_work *w, unsigned fact, struct span *out)
{
    const struct decision_ask *ask = w->ask;
    switch (fact) {
    case ROUTING_LANGUAGE:
        *out = span_of(language(w)->language);
        return true;
    case ROUTING_SCRIPT:
        *out = span_of(language(w)->script);
        return true;
    case ROUTING_DIALECT:
        *out = dialect(w);
        return true;
    case ROUTING_MODEL:
        *out = decision_model_name(ask);
        return true;
    case ROUTING_PROMPT_TOKENS_BY:
        *out = decision_tokens_by(w);
        return true;
    case ROUTING_SESSION:
        *out = session(w);
        return true;
    case ROUTING_ENDPOINT:
        *out = span_of(endpoint_name(ask->request->endpoint));
        return true;
    case ROUTING_PROFILE:
        *out = span_of(routing_profile_name(ask->hints.profile));
        return true;
    case ROUTING_CLASSIFICATION:
        *out = span_of(data_class_name(ask->class));
        return true;
    case ROUTING_KEY:
        *out = span_of(ask->key->id);
        return true;
    default:
        return false;
    }
}

static bool find_name(struct decision_work *w, unsigned fact, struct span *out)
{
    switch (fact) {
    case ROUTING_ORGANISATION:
        *out = name_of(w, LIMITS_ORGANISATION);
        return true;
    case ROUTING_TEAM:
        *out = name_of(w, LIMITS_TEAM);
        return true;
    case ROUTING_TEAM_ID:
        *out = w->ask->rights == NULL
                   ? SPAN("")
                   : access_id(w->ask->rights, LIMITS_TEAM, w->ask->who->slot[LIMITS_TEAM]);
        return true;
    case ROUTING_USER:
        *out = name_of(w, LIMITS_USER);
        return true;
    default:
        return find_text(w, fact, out);
    }
}

/* A budget of one model counts where that is named: of a call that leaves it open nobody knows. */
static int budget_used(const struct decision_ask *ask)
{
    return ask->rights == NULL
               ? 0
               : limits_used_percent(access_limits(ask->rights), ask->who, decision_model_name(ask),
                                     ask->model, ask->now);
}

static bool find_moment(struct decision_work *w, unsigned fact, int64_t *out)
{
    struct routing_moment m = routing_moment_of(w->ask->policy->routing, w->ask->now);
    *out = fact == ROUTING_HOUR ? m.hour : fact == ROUTING_MINUTE ? m.minute : m.weekday;
    return true;
}

/* What no record says. */
static bool is_of_the_moment(unsigned fact)
{
    return fact == ROUTING_SESSION || fact == ROUTING_BUDGET_USED || fact == ROUTING_PII;
}

/* Whether the record of a call that was does not say it. */
static bool is_unrecorded(const struct decision_recorded *r, unsigned fact)
{
    bool is_of_language = fact == ROUTING_LANGUAGE || fact == ROUTING_LANGUAGE_CONFIDENCE ||
                          fact == ROUTING_SCRIPT || fact == ROUTING_DIALECT;
    bool is_of_gist =
        fact == ROUTING_HAS_TOOLS || fact == ROUTING_HAS_IMAGES || fact == ROUTING_TURNS;
    return is_of_the_moment(fact) || (is_of_language && !r->has_language) ||
           (is_of_gist && !r->has_gist) || (fact == ROUTING_CODE_SHARE && !r->has_code) ||
           (fact == ROUTING_PROMPT_TOKENS_BY && r->tokens_by.len == 0);
}

static bool find(void *ctx, unsigned fact, struct condition_value *out)
{
    struct decision_work *w = ctx;
    const struct decision_ask *ask = w->ask;
    const struct openai_gist *gist = ask->gist;
    if (ask->recorded != NULL && is_unrecorded(ask->recorded, fact)) {
        return false;
    }
    switch (fact) {
    case ROUTING_LANGUAGE_CONFIDENCE:
        out->real = language(w)->permille / 1000.0;
        return true;
    case ROUTING_CODE_SHARE:
        out->real = code_share(w);
        return true;
    case ROUTING_PROMPT_TOKENS:
        out->number = decision_tokens(w);
        return true;
    case ROUTING_MAX_TOKENS:
        out->number = ask->request->output_tokens_max < 0 ? 0 : ask->request->output_tokens_max;
        return true;
    case ROUTING_STREAM:
        out->truth = ask->request->stream;
        return true;
    case ROUTING_HAS_TOOLS:
        out->truth = gist != NULL && gist->has_tools;
        return true;
    case ROUTING_HAS_IMAGES:
        out->truth = gist != NULL && gist->has_pictures;
        return true;
    case ROUTING_TURNS:
        out->number = gist == NULL ? 0 : gist->turns;
        return true;
    case ROUTING_BUDGET_USED:
        out->number = budget_used(ask);
        return true;
    case ROUTING_PII:
        out->texts.at = ask->pii;
        out->texts.count = ask->pii_count;
        return ask->has_pii;
    case ROUTING_HOUR:
    case ROUTING_MINUTE:
    case ROUTING_WEEKDAY:
        return find_moment(w, fact, &out->number);
    default:
        return find_name(w, fact, &out->text);
    }
}

/* Of lines of "name=value" the value. */
static bool find_tag(struct span tags, struct span name, struct span *out)
{
    while (tags.len > 0) {
        size_t end = span_find(tags, '\n', 0);
        struct span line = span_cut(tags, 0, end);
        size_t equal = span_find(line, '=', 0);
        if (span_equal(span_cut(line, 0, equal), name)) {
            *out = span_cut(line, equal + 1, line.len);
            return true;
        }
        tags = span_cut(tags, end + 1, tags.len);
    }
    return false;
}

/* A header by its name in letters of either case; of one that repeats, the first. Who calls is not
 * told to a rule by its secret. */
static bool find_header(const struct http_fields *f, struct span name, struct span *out)
{
    static const char *const secrets[] = {"authorization", "proxy-authorization", "cookie",
                                          "x-api-key", "api-key"};
    bool is_secret = false;
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        is_secret = is_secret || span_equal_nocase(name, span_of(secrets[i]));
    }
    for (uint32_t i = 0; f != NULL && !is_secret && i < f->count; i++) {
        if (span_equal_nocase(http_field_name(f, i), name)) {
            *out = http_field_value(f, i);
            return true;
        }
    }
    return false;
}

static bool find_member(void *ctx, unsigned fact, struct span key, struct span *out)
{
    struct decision_work *w = ctx;
    const struct decision_ask *ask = w->ask;
    if (fact == ROUTING_HEADERS) {
        return find_header(ask->headers, key, out);
    }
    const struct key_grant *grant =
        ask->keys == NULL ? NULL : keys_grant(ask->keys, ask->key->slot);
    return grant != NULL && find_tag(grant->says.tags, key, out);
}

void decision_begin_facts(struct decision_work *work, const struct decision_ask *ask)
{
    work->ask = ask;
    work->has_language = work->has_session = work->has_tokens = false;
    work->facts.known = work->facts.missing = 0;
    if (ask->recorded != NULL) { /* headers are never recorded, tags are the key's */
        work->language = ask->recorded->language;
        work->has_language = true;
        work->facts.missing = UINT64_C(1) << ROUTING_HEADERS |
                              (ask->recorded->has_key ? 0 : UINT64_C(1) << ROUTING_TAGS);
    }
    work->facts.find = find;
    work->facts.find_member = find_member;
    work->facts.ctx = work;
    work->facts.match_steps = 0;
}
