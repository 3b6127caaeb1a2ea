/* SPDX-License-Identifier: Apache-2.0 */
/* The program as it grows: steps, constants, patterns, and what lies on the stack meanwhile. */
#include <stdio.h>

#include "condition/condition_compile_internal.h"

enum err condition_next(struct condition_compiler *k)
{
    return condition_read_word(k->c->text, &k->at, &k->arena, &k->token, k->problem);
}

enum err condition_refuse_here(struct condition_compiler *k, const char *sentence)
{
    return condition_refuse(k->problem, k->token.at, k->token.len, "%s", sentence);
}

enum err condition_emit(struct condition_compiler *k, struct condition_step step)
{
    struct condition_draft *c = k->c;
    if (c->step_count == CONDITION_STEPS_MAX) {
        return condition_refuse(k->problem, k->token.at, k->token.len,
                                "the condition is too long: it has more than %d steps; make two "
                                "rules of it",
                                CONDITION_STEPS_MAX);
    }
    c->steps[c->step_count++] = step;
    return ERR_OK;
}

enum err condition_add_constant(struct condition_compiler *k, struct condition_value value,
                                bool is_text, uint16_t *out)
{
    struct condition_draft *c = k->c;
    if (c->constant_count == CONDITION_STEPS_MAX) {
        return condition_refuse(k->problem, k->token.at, k->token.len,
                                "the condition holds more than %d constants", CONDITION_STEPS_MAX);
    }
    *out = (uint16_t)c->constant_count;
    c->is_text[c->constant_count] = is_text;
    c->constants[c->constant_count++] = value;
    return ERR_OK;
}

enum err condition_add_pattern(struct condition_compiler *k, struct span text,
                               const struct condition_operand *where, uint16_t *out)
{
    struct condition_draft *c = k->c;
    int code = PCRE2_ERROR_NOMEMORY;
    size_t at = 0;
    pcre2_general_context *general = condition_memory();
    pcre2_compile_context *context = general == NULL ? NULL : pcre2_compile_context_create(general);
    pcre2_code *pattern = NULL;
    if (context != NULL) {
        pattern = pcre2_compile(text.at, text.len,
                                PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C |
                                    PCRE2_AUTO_CALLOUT /* each step is counted */,
                                &code, &at, context);
    }
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    if (pattern != NULL) {
        *out = (uint16_t)c->pattern_count;
        c->patterns[c->pattern_count++] = pattern; /* fewer than there are steps */
        return ERR_OK;
    }
    if (context == NULL || code == PCRE2_ERROR_NOMEMORY || code == PCRE2_ERROR_HEAP_FAILED) {
        return ERR_NO_MEMORY;
    }
    char why[128] = "it is not valid";
    (void)pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why)); /* cut, it says enough */
    return condition_refuse(k->problem, where->at, where->end - where->at,
                            "this is no regular expression: %s, at its character %zu", why, at + 1);
}

enum err condition_push(struct condition_compiler *k, struct condition_operand operand)
{
    if (k->operand_count == CONDITION_DEPTH_MAX) {
        return condition_refuse(k->problem, operand.at, operand.end - operand.at,
                                "the condition is nested too deeply");
    }
    k->operands[k->operand_count++] = operand;
    return ERR_OK;
}

struct condition_operand *condition_top(struct condition_compiler *k, size_t back)
{
    CHECK(k->operand_count > back);
    return &k->operands[k->operand_count - 1 - back];
}

void condition_replace(struct condition_compiler *k, size_t count, struct condition_operand result)
{
    CHECK(k->operand_count >= count && count > 0);
    k->operand_count -= count;
    k->operands[k->operand_count++] = result;
}

void condition_unemit_constant(struct condition_compiler *k)
{
    struct condition_draft *c = k->c;
    CHECK(c->step_count > 0 && c->steps[c->step_count - 1].op == OP_CONSTANT);
    c->step_count--;
}
