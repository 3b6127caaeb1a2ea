/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_date.h — the times that other servers write.
 *
 * All three forms are read: "Sun, 06 Nov 1994 08:49:37 GMT", which is written today, and those of
 * RFC 850 ("Sunday, 06-Nov-94 08:49:37 GMT") and of C's asctime ("Sun Nov  6 08:49:37 1994"). Two
 * digits of a year mean the one that is not more than fifty years ahead.
 *
 * Threads  any; pure.
 * Sources  RFC 9110 section 5.6.7.
 */
#ifndef HTTP_HTTP_DATE_H
#define HTTP_HTTP_DATE_H

#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"

/*
 * The time that `text` says, seen from `now`. Which day of the week it says is not looked at.
 *   ERR_VALUE_INVALID  it is none of the three forms, or no such time
 */
MUST_USE enum err http_date_parse(struct span text, wall_us now, wall_us *out);

#endif
