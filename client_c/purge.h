/* SPDX-License-Identifier: MIT */
/*
 * Removing everything
 *
 * With a daemon: its user's names. Without one: the objects that it left in shared memory, and, in
 * the directory that it spilled tensors to, the files that are its catalog's. Both are locked as a
 * daemon locks them, and nothing is removed before both are known to have none.
 */
#pragma once

#include <stdbool.h>

#include "client.h"

#define PURGE_DIRECTORY "/dev/shm"

/* Both print what was removed. */
int purge_names(td_client *client, bool is_json, td_error *error);
/*
 * No daemon answers at the address. spill_directory: NULL, or a directory; what is there and not
 * of the catalog is left, and printed with the reason. TD_E_NO_DAEMON: a daemon that runs has
 * either of them; nothing was removed.
 */
int purge_left(const char *address, const char *spill_directory, bool is_json, td_error *error);
