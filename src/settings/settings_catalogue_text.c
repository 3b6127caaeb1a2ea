/* SPDX-License-Identifier: Apache-2.0 */
/* share/models.yaml, as tools/embed.py writes it when the program is built. */
#include "settings/settings_catalogue.h"

static const uint8_t text[] = {
#include <models.inc> /* stands in the folder of the build */
};

struct span settings_catalogue_text(void)
{
    return span_make(text, sizeof(text));
}
