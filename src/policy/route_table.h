/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_table.h — which endpoint a method and a path name. The table is routes.def.
 *
 * Threads  any; all of it is constant.
 */
#ifndef POLICY_ROUTE_TABLE_H
#define POLICY_ROUTE_TABLE_H

#include "base/err.h"
#include "base/span.h"
#include "http/http_request.h"

enum route_handler {
    ROUTE_CHAT,
    ROUTE_COMPLETIONS,
    ROUTE_EMBEDDINGS,
    ROUTE_MODERATIONS,
    ROUTE_MODELS,
    ROUTE_MODEL,
    ROUTE_BUDGET,
    ROUTE_USAGE,
    ROUTE_HEALTH,
    ROUTE_READY
};

enum route_body { ROUTE_BODY_NONE, ROUTE_BODY_JSON };

struct route {
    enum http_method method;
    struct span path; /* ends in '*' when any rest matches */
    enum route_handler handler;
    enum route_body body;
    uint32_t scope; /* enum key_scope; 0: any key will do, or none is needed */
};

/*
 * Finds the row; HEAD finds GET's. `*rest` is what the '*' stood for, as sent.
 *
 *   ERR_ROUTE_UNKNOWN       no row has this path
 *   ERR_METHOD_NOT_ALLOWED  rows have it, with other methods: `*allow` is the complete header line;
 *                           so too for OPTIONS, which asks for that line, and its "*"
 */
MUST_USE enum err route_find(enum http_method method, struct span path, const struct route **out,
                             struct span *rest, struct span *allow);

#endif
