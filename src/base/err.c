/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

static const struct err_row rows[ERR_COUNT] = {
    [ERR_OK] = {"OK", 200, "", NULL, false, "all is well"},
#define ERR(name, status, type, code, retry, sentence) \
    [ERR_##name] = {#name, status, type, code, retry, sentence},
#include "base/err.def"
#undef ERR
};

const struct err_row *err_row(enum err e)
{
    CHECK(e < ERR_COUNT);
    return &rows[e];
}

const char *err_name(enum err e)
{
    return err_row(e)->name;
}

const char *err_sentence(enum err e)
{
    return err_row(e)->sentence;
}
