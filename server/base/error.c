/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

int error_trace(int r, const char *file, int line, const char *function)
{
        static _Atomic long last_second;
        static _Atomic int last_line;
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        if (atomic_exchange(&last_second, now.tv_sec) == now.tv_sec &&
            atomic_exchange(&last_line, line) == line)
                return r;
        atomic_store(&last_line, line);
        log_error("%s:%d: %s: %s", file, line, function, strerror(-r));
        return r;
}
