/* SPDX-License-Identifier: MIT */
/*
 * Cores
 *
 * Threads that should run side by side often wake up on one core, and the scheduler takes
 * milliseconds, or for ever, to part them. Any thread.
 */
#pragma once

#include <sched.h>

/*
 * The calling thread goes to one of these cores; then it may have all again, which it had before.
 * If the cores that it may have change meanwhile, it gets all that there are (the kernel leaves out
 * what its cpuset does not allow).
 */
void cores_go(const cpu_set_t *to, const cpu_set_t *all);
