/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static enum log_level log_most = LOG_LEVEL_INFO;
static bool log_is_service;

void log_init(enum log_level most, bool is_service)
{
        log_most = most;
        log_is_service = is_service;
}

void log_line(enum log_level level, const char *format, ...)
{
        char line[1024];
        size_t n;
        va_list args;

        if (level > log_most)
                return;

        if (log_is_service) {
                n = (size_t)snprintf(line, sizeof(line), "<%d>", (int)level);
        } else {
                struct timespec now;
                struct tm tm;

                clock_gettime(CLOCK_REALTIME, &now);
                localtime_r(&now.tv_sec, &tm);
                n = strftime(line, sizeof(line), "%F %T", &tm);
                n += (size_t)snprintf(line + n, sizeof(line) - n,
                                      ".%03ld tensord: ", now.tv_nsec / 1000000);
        }

        va_start(args, format);
        n += (size_t)vsnprintf(line + n, sizeof(line) - n, format, args);
        va_end(args);
        if (n > sizeof(line) - 1)
                n = sizeof(line) - 1;
        line[n++] = '\n';

        /* A log that cannot be written is no reason to fail. */
        if (write(STDERR_FILENO, line, n) < 0)
                return;
}
