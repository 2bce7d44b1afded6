/* SPDX-License-Identifier: MIT */
/*
 * For tests that loop for long.
 */
#pragma once

#include <check.h>

/* ck_assert() writes to a file each time; this does only if it fails. */
#define EXPECT(condition, ...)                                                                     \
        do {                                                                                       \
                if (!(condition))                                                                  \
                        ck_abort_msg(#condition " " __VA_ARGS__);                                  \
        } while (0)

/* Sanitized code takes its time: what is alike is tried less often. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KIT_SLOW 1
#else
#define KIT_SLOW 0
#endif
