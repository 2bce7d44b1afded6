/* SPDX-License-Identifier: MIT */
/*
 * JSON, written
 *
 * MessagePack values and strings as JSON text. Bytes become hexadecimal strings; numbers that JSON
 * does not have (NaN, infinities) become null; bytes that are no UTF-8 become U+FFFD.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "codec.h"

void json_text(FILE *out, const char *text, size_t n_text);
void json_string(FILE *out, const char *text);
void json_hex(FILE *out, const uint8_t *bytes, size_t n_bytes);
/* {"key": "value"}, a line */
void json_pair(FILE *out, const char *key, const char *value);
/* The next value of the reader. */
void json_value(FILE *out, struct reader *reader);
