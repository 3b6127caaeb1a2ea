/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_report.h — what the guard would do with a text, told: `atlas guard test`, and the API's
 * /admin/v1/guard/test.
 *
 *   {"findings":[{"type":"saudi_id","start":9,"end":19,"confidence":0.99,"action":"redact",
 *                 "rule":"builtin"}],"output":"…","blocked":false}
 *
 * All findings are listed, also those that nothing is done about; none overlaps another. `output`
 * and `blocked` are as of a call: where the mode is not `enforce`, the text stays as it is. A text
 * ends before the first value that is blocked.
 *
 * Of a request every text that it holds is looked at: its findings have the member, too ("path":
 * "messages[0].content"), offsets in that text, and `output` is the request as a model would get
 * it: what cannot be replaced is blocked there.
 *
 * Ownership  nothing is kept but scratch.
 * Limits     GUARD_REPORT_ROWS values and GUARD_REPORT_DEPTH levels of a request.
 * Threads    one at a time.
 * Sources    docs/guard.md.
 */
#ifndef GUARD_GUARD_REPORT_H
#define GUARD_GUARD_REPORT_H

#include "base/arena.h"
#include "base/buf.h"
#include "guard/guard_case.h"

#define GUARD_REPORT_ROWS  1000000
#define GUARD_REPORT_DEPTH 64

struct guard_report {
    struct guard_rule_of of;
    enum guard_direction direction;
    struct guard_scratch *scratch;
    struct crypto_hmac_key key; /* of hashes: none of a team's */
    struct arena arena;
    struct guard_case found; /* in what is looked at */
    struct buf output;       /* of a text, while it is looked at */
};

/* ERR_NO_MEMORY. */
MUST_USE enum err guard_report_open(const struct guard_rule_of *of, enum guard_direction direction,
                                    struct guard_report *out);
void guard_report_close(struct guard_report *r);

/* Puts what is found in a text. ERR_NO_MEMORY. */
MUST_USE enum err guard_report_text(struct guard_report *r, struct span text, struct buf *out);

/* The same of JSON. ERR_NO_MEMORY; as json_index_parse_borrow(). */
MUST_USE enum err guard_report_request(struct guard_report *r, struct span json, struct buf *out);

#endif
