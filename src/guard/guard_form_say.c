/* SPDX-License-Identifier: Apache-2.0 */
/* What all readers of a form need: to say what is wrong, and what a name may be. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "guard/guard_form_internal.h"

void guard_say(struct guard_telling *t, bool is_name, const char *member, const char *format, ...)
{
    char sentence[GUARD_SENTENCE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, args); /* cut, it still says what */
    va_end(args);
    t->is_wrong = true;
    t->problem(t->ctx, member, is_name, sentence);
}

bool guard_form_is_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    return name[0] >= 'a' && name[0] <= 'z' && strlen(name) < GUARD_NAME_BYTES &&
           name[strspn(name, letters)] == '\0';
}
