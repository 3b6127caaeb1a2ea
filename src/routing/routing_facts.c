/* SPDX-License-Identifier: Apache-2.0 */
#include "routing/routing.h"

const struct condition_fact routing_facts[ROUTING_FACTS] = {
    [ROUTING_LANGUAGE] = {"language", CONDITION_TEXT,
                          "ar|fa|ur|ps|ckb|en|fr|es|pt|de|it|nl|tr|id|tl|sw|sv|pl|ro|vi|ru|uk|el|"
                          "he|hi|bn|pa|gu|ta|te|kn|ml|si|th|lo|my|ka|hy|am|km|ja|zh|ko|und",
                          NULL},
    [ROUTING_LANGUAGE_CONFIDENCE] = {"language_confidence", CONDITION_REAL, NULL, NULL},
    [ROUTING_SCRIPT] = {"script", CONDITION_TEXT,
                        "Arab|Latn|Cyrl|Grek|Hebr|Armn|Deva|Beng|Guru|Gujr|Taml|Telu|Knda|Mlym|"
                        "Sinh|Thai|Laoo|Mymr|Geor|Ethi|Khmr|Jpan|Hani|Kore|Zyyy",
                        NULL},
    [ROUTING_DIALECT] = {"dialect", CONDITION_TEXT, "|egy|glf|lev|mag|msa", NULL},
    [ROUTING_PROMPT_TOKENS] = {"prompt_tokens", CONDITION_INT, NULL, NULL},
    [ROUTING_PROMPT_TOKENS_BY] = {"prompt_tokens_by", CONDITION_TEXT, NULL, NULL},
    [ROUTING_MAX_TOKENS] = {"max_tokens", CONDITION_INT, NULL, NULL},
    [ROUTING_STREAM] = {"stream", CONDITION_BOOL, NULL, NULL},
    [ROUTING_MODEL] = {"model", CONDITION_TEXT, NULL, NULL},
    [ROUTING_ENDPOINT] = {"endpoint", CONDITION_TEXT, "chat|completions|embeddings", NULL},
    [ROUTING_ORGANISATION] = {"organisation", CONDITION_TEXT, NULL, NULL},
    [ROUTING_TEAM] = {"team", CONDITION_TEXT, NULL, NULL},
    [ROUTING_USER] = {"user", CONDITION_TEXT, NULL, NULL},
    [ROUTING_KEY] = {"key", CONDITION_TEXT, NULL, NULL},
    [ROUTING_TAGS] = {"tags", CONDITION_MAP, NULL, NULL},
    [ROUTING_PROFILE] = {"profile", CONDITION_TEXT, "|cost|performance|balanced", NULL},
    [ROUTING_HAS_TOOLS] = {"has_tools", CONDITION_BOOL, NULL, NULL},
    [ROUTING_HAS_IMAGES] = {"has_images", CONDITION_BOOL, NULL, NULL},
    [ROUTING_TURNS] = {"turns", CONDITION_INT, NULL, NULL},
    [ROUTING_HEADERS] = {"headers", CONDITION_MAP, NULL, NULL},
    [ROUTING_HOUR] = {"hour", CONDITION_INT, NULL, NULL},
    [ROUTING_WEEKDAY] = {"weekday", CONDITION_INT, NULL, NULL},
    [ROUTING_CLASSIFICATION] = {"classification", CONDITION_TEXT, DATA_CLASSES, NULL},
    [ROUTING_PII] = {"pii", CONDITION_TEXTS, NULL, NULL},
    [ROUTING_CODE_SHARE] = {"code_share", CONDITION_REAL, NULL, NULL},
    [ROUTING_SESSION] = {"session", CONDITION_TEXT, NULL, NULL},
    [ROUTING_BUDGET_USED] = {"budget_used_pct", CONDITION_INT, NULL, NULL},
};

static const char *const profiles[] = {"", "cost", "performance", "balanced", "learned"};

const char *routing_profile_name(enum routing_profile profile)
{
    return profiles[profile];
}

bool routing_profile_find(struct span name, enum routing_profile *out)
{
    static const struct {
        const char *name;
        enum routing_profile profile;
    } others[] = {{"cost-optimized", ROUTING_COST},
                  {"performance-optimized", ROUTING_PERFORMANCE},
                  {"latency-optimized", ROUTING_PERFORMANCE}};
    for (unsigned i = ROUTING_COST; i < ROUTING_PROFILES; i++) {
        if (span_is(name, profiles[i])) {
            *out = (enum routing_profile)i;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (span_is(name, others[i].name)) {
            *out = others[i].profile;
            return true;
        }
    }
    return false;
}
