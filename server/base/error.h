/* SPDX-License-Identifier: MIT */
/*
 * Two kinds of failure
 *
 * Negative: an errno, the machine failed; error_origin() logs where it was first seen, and it is
 * passed up unchanged. Positive: an outcome of the called module's own enum, answered by its direct
 * caller and never passed up raw. Zero: done.
 */
#pragma once

#include <errno.h>

#include "base/log.h"

/*
 * Log the place where a machine failure was first seen, once per place and minute; returns -errno
 * unchanged.
 */
#define error_origin(r) error_trace((r), __FILE__, __LINE__, __func__)

int error_trace(int r, const char *file, int line, const char *function);
