/* SPDX-License-Identifier: MIT */
/*
 * Clock
 *
 * Milliseconds since the machine was started: they go on while it sleeps, and while daemons come
 * and go. Any thread.
 */
#pragma once

#include <stdint.h>

uint64_t clock_now_ms(void);
