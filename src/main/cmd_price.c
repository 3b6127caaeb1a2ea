/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas price`. */
#include "main/commands.h"
#include "main/main_noun.h"

static const struct main_noun prices = {
    ADMIN_PRICES_PATH, ADMIN_OBJECT_price,
    "no model has a price; set one with: atlas price set --model M --input 0.20 --output 0.60"};

#define AMOUNT(field, called, what) \
    CLI_TEXT(struct main_given, field, called, "A", what, .member = called)

const struct cli_option main_price_set_options[] = {
    CLI_TEXT(struct main_given, model, "model", "MODEL",
             "The model, by its name in the configuration", .member = "model", .is_needed = true),
    AMOUNT(input, "input", "A million tokens of requests, such as 0.20; or as many as --per says"),
    AMOUNT(cached_input, "cached_input",
           "The same, of what the model server had cached; as --input if not given"),
    AMOUNT(output, "output", "The same, of answers"),
    CLI_TEXT(struct main_given, per, "per", "N",
             "How many tokens the amounts are for; 1000000 if not given", .member = "per"),
    AMOUNT(request, "request", "A request that was answered"),
    AMOUNT(gpu_second, "gpu_second", "A second at the model server"),
    CLI_TEXT(struct main_given, currency, "currency", "CUR",
             "Three letters of ISO 4217; USD if not given", .member = "currency"),
    CLI_TEXT(struct main_given, from, "from", "TIME",
             "Since when calls cost this: now if not given, the day 2027-01-31 as it begins (UTC), "
             "or 12h or 30d from now",
             .member = "from"),
    MAIN_JSON,
    MAIN_CONFIG,
    MAIN_END,
};

#define A_PRICE MAIN_ID("The price's id, as `atlas price list` shows it")

const struct cli_option main_price_list_options[] = {MAIN_ENDED, MAIN_JSON, MAIN_CONFIG, MAIN_END};
const struct cli_option main_price_show_options[] = {A_PRICE, MAIN_JSON, MAIN_CONFIG, MAIN_END};
const struct cli_option main_price_end_options[] = {A_PRICE, MAIN_JSON, MAIN_CONFIG, MAIN_END};

MAIN_ACT(main_price_set, "price set", prices, create)
MAIN_ACT(main_price_list, "price list", prices, list)
MAIN_ACT(main_price_show, "price show", prices, show)
MAIN_ACT(main_price_end, "price end", prices, end)
