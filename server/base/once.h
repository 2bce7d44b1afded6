/* SPDX-License-Identifier: MIT */
/*
 * Said once
 *
 * What clients can make the daemon log, as often as they like: the first line of a cause and a user
 * is written, the others are counted, and told with the next one that comes a minute later, or by
 * once_tell(). Memory is bounded: where there are more causes and users in a minute than rows, the
 * rest is counted together. Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/log.h"

#define ONCE_MS 60000
#define ONCE_ROWS 64

enum once_cause {
        ONCE_MALFORMED,  /* a connection sent no message */
        ONCE_LATE,       /* or not in time */
        ONCE_DEAF,       /* or did not read */
        ONCE_MEMORY,     /* there was no memory to answer it */
        ONCE_COMPACTION, /* the catalog stays as it is */
        ONCE_SPILL,      /* the spill directory could not be used */
        ONCE_REMOVE,     /* a file stays in it */
        ONCE_LOST,       /* a name's memory, or file, is not what was written */
        ONCE_FOREIGN,    /* another's file has the name of one of ours */
};

void once_log(enum log_level level, enum once_cause cause, uid_t uid, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
/* Tell what was counted and is a minute old; all of it, if all. */
void once_tell(bool all);
/* Is anything counted? */
bool once_is_counting(void);
/* For tests: forget everything; with a clock of their own, if not NULL. */
void once_reset(uint64_t (*now_ms)(void));
