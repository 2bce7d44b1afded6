/* SPDX-License-Identifier: MIT */
/*
 * The server
 *
 * One daemon from its start to its end: the service (instance lock, recovery), then the socket,
 * then READY, then the loop. A signal stops it: no new connections, what is queued is sent, jobs
 * that name something are finished.
 *
 * Loop thread only. One per process.
 */
#pragma once

#include "net/config.h"

/* Returns an exit status of sysexits.h: EX_OK, EX_CONFIG (the catalog must be looked at),
 * EX_TEMPFAIL (another daemon has the place), EX_OSERR. */
int server_run(const struct config *config);
