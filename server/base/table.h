/* SPDX-License-Identifier: MIT */
/*
 * Tables: uthash, told not to end the process where memory runs out
 *
 * HASH_ADD then leaves the element out; whoever adds asks table_has() at once, and undoes what it
 * did. The handle of an element is always its hh.
 */
#pragma once

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Was it added? */
#define table_has(element) ((element)->hh.tbl != NULL)
