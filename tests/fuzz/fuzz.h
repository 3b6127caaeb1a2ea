/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz.h — the function that each target defines and libFuzzer calls; it returns 0.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer chose the name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
