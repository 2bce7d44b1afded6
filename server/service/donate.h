/* SPDX-License-Identifier: MIT */
/*
 * Donated inputs
 *
 * A tensor that a call may write its result over, since nobody else refers to it. From the start of
 * the call to its end its promise is pending again, and its id is found by nobody, so whoever names
 * it waits; then its handle is gone, or stands for it as before.
 */
#pragma once

#include "service/call.h"

/*
 * Once nothing else can be in the way of the call: the memory of those inputs that are this call's
 * alone is taken.
 */
void donate_take(struct call *call);
/*
 * The call ends. Well: so do the handles. Badly: they are what they were, but those that an output
 * was written over, since what failed is what comes behind computing: another input was truncated,
 * or the system gave the daemon no heap, descriptor or write (all shared memory was reserved
 * before).
 */
void donate_end(struct call *call, bool is_success);
