/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_number_checks.h — whether digits may be a national number: its layout, and its checksum
 * where there is one.
 *
 * For guard's own files.
 * Sources  docs/guard.md.
 */
#ifndef GUARD_GUARD_NUMBER_CHECKS_H
#define GUARD_GUARD_NUMBER_CHECKS_H

#include <stdbool.h>
#include <stdint.h>

/* What a check says. */
enum guard_check { GUARD_CHECK_NO, GUARD_CHECK_MAYBE, GUARD_CHECK_YES };

/* Of as many digits, 0 to 9, as guard_numbers.def says. YES: what cannot be by chance agrees. */
enum guard_check guard_check_any(const uint8_t *d);
enum guard_check guard_check_saudi(const uint8_t *d);
enum guard_check guard_check_iqama(const uint8_t *d);
enum guard_check guard_check_emirates(const uint8_t *d);
enum guard_check guard_check_emirates_as(const uint8_t *d); /* but for the checksum */
enum guard_check guard_check_qatar(const uint8_t *d);
enum guard_check guard_check_kuwait(const uint8_t *d);
enum guard_check guard_check_bahrain(const uint8_t *d);
enum guard_check guard_check_egypt(const uint8_t *d);

#endif
