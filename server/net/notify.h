/* SPDX-License-Identifier: MIT */
/*
 * Notify
 *
 * What the daemon tells systemd, and the socket that systemd hands it. Without systemd (not started
 * by it, or built without) nothing is told and nothing handed over.
 */
#pragma once

#include <stdint.h>

/* Recovery is over, connections are accepted. */
void notify_ready(const char *status);
void notify_stopping(void);
void notify_watchdog(void);
/* How often notify_watchdog() is due, in ms; 0: never. */
uint64_t notify_watchdog_ms(void);

/*
 * The listening socket that systemd passed to this process, close-on-exec: *fdp, or -1 if there is
 * none. 0, or a negative errno if what was passed is no Unix stream socket.
 */
int notify_take_socket(int *fdp);
