/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit.h — cmocka with the headers it needs before it, and a count of a table's rows.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the five above */

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

#endif
