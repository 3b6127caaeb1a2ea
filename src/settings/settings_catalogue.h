/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings_catalogue.h — models that are known: what each takes, speaks and is good for.
 *
 * share/models.yaml is built into the program; the file that `catalogue` names adds entries, or
 * stands for those of the same name. Both are read with the configuration, and never on a call's
 * path. A configured model takes what it does not say itself from the entry that its name means.
 *
 * Names are compared as plain ones: "hf.co/x/Llama-3.1-8B-Instruct-GGUF:Q4_K_M", the file
 * "llama-3.1-8b-instruct.Q8_0.gguf" and "llama3.1:8b-instruct" are all "llama3.1-8binstruct".
 *
 * Ownership  all of it lives in the struct settings that it is part of.
 * Limits     CATALOGUE_NAME_BYTES of a plain name: what is longer is cut.
 * Threads    any; read only.
 */
#ifndef SETTINGS_SETTINGS_CATALOGUE_H
#define SETTINGS_SETTINGS_CATALOGUE_H

#include "base/buf.h"
#include "policy/policy_settings.h"

#define CATALOGUE_NAME_BYTES 256 /* with its NUL */

#define CATALOGUE_THINKS     "unknown|never|always|optional"
#define CATALOGUE_QUIRKS     "no-system|strict-turns|query-prefix"
#define CATALOGUE_COMMERCIAL "unknown|yes|bounded|no"

enum catalogue_thinks {
    CATALOGUE_THINKS_UNKNOWN,
    CATALOGUE_NEVER,
    CATALOGUE_ALWAYS,
    CATALOGUE_ASKED
};
enum catalogue_commercial {
    CATALOGUE_TRADE_UNKNOWN,
    CATALOGUE_TRADE,
    CATALOGUE_BOUNDED,
    CATALOGUE_NO
};

/* A model, or a family of them; settings_catalogue.def explains the fields. 0 and NULL: nothing is
 * said. */
struct catalogue_entry {
    const char *name, *family;
    struct texts names, languages;
    int64_t context_tokens, max_output, tier, dimensions;
    uint32_t endpoints, inputs; /* enum policy_endpoint, policy_input bits */
    uint32_t quirks;            /* bits, in the order of CATALOGUE_QUIRKS */
    enum policy_ability tools;
    enum catalogue_thinks thinks;
    enum policy_reasoning reasoning;
    enum catalogue_commercial commercial;
    const char *tokenizer, *licence, *parameters;
    bool is_own; /* of the operator's file */
};

/* A plain name, and whose it is. */
struct catalogue_name {
    const char *text;
    const struct catalogue_entry *entry;
};

struct settings_catalogue {
    const struct catalogue_entry *families, *models; /* the operator's first */
    size_t families_count, models_count;
    const struct catalogue_name *names, *beginnings; /* whole ones sorted; the longest first */
    size_t names_count, beginnings_count;
};

/* The text of share/models.yaml. */
struct span settings_catalogue_text(void);

/* Writes the plain form of a name. */
void settings_catalogue_plain(struct span name, char out[CATALOGUE_NAME_BYTES]);

/* The entry that a name means, or NULL. */
const struct catalogue_entry *settings_catalogue_find(const struct settings_catalogue *c,
                                                      struct span name);

/* The name of an entry that was probably meant, or NULL. */
const char *settings_catalogue_near(const struct settings_catalogue *c, struct span name);

/* Puts what a configured model took, "context 262144, tier 4"; nothing if it took nothing. */
void settings_catalogue_put_taken(const struct model_settings *model, struct buf *out);

#endif
