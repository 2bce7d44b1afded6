/* SPDX-License-Identifier: MIT */
/*
 * SIGBUS guard
 *
 * Whoever holds a writable descriptor of a segment can truncate it under us; touching a page beyond
 * its end is then a SIGBUS, on whichever thread computes, OpenBLAS's own among them. So there is
 * one process-wide table of every mapped segment. The handler finds the segment of the fault, maps
 * anonymous zero pages over the whole of it (MAP_FIXED) and marks it poisoned; the computation goes
 * on with zeros, and its job fails when it looks at the mark. A fault elsewhere is ours: default
 * action.
 *
 * The table is lock-free: slots are claimed and published by atomics, the handler only reads them
 * and sets a flag. Insert before use, remove before munmap. Any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Install the SIGBUS handler, process-wide. 0 or negative errno. */
int guard_init(void);

/*
 * poisonedp is set by the handler; it must stay valid until guard_remove(). Returns a slot, or
 * -ENOMEM if the table is full.
 */
int guard_insert(void *address, size_t n_bytes, atomic_bool *poisonedp);
void guard_remove(int slot);
