/* SPDX-License-Identifier: MIT */
/*
 * UTF-8
 *
 * Is it, and where does it break off? Pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes at the front that are whole, shortest-form characters, surrogates excluded; n_bytes if all
 * of them are. */
size_t utf8_valid_prefix(const char *bytes, size_t n_bytes);

/* A C0 or C1 control character, or DEL, in valid UTF-8. */
bool utf8_has_control(const char *bytes, size_t n_bytes);

/*
 * Text that may be printed and sent on, whatever the bytes are: what is not a printable character
 * is written \xNN, and what has no room is cut at a character, with "..." for it. n_out at least 8.
 * Returns out.
 */
char *utf8_printable(char *out, size_t n_out, const char *bytes, size_t n_bytes);
