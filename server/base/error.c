/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define PLACES 256
#define PLACE_S 60

/* Places share a row by chance: then one of them is counted with the other. */
static struct {
        _Atomic long said_s;
        _Atomic uint64_t n_more;
} places[PLACES];

static unsigned place_of(const char *file, int line)
{
        unsigned hash = (unsigned)line;

        for (; *file; file++)
                hash = hash * 31 + (unsigned char)*file;
        return hash % PLACES;
}

int error_trace(int r, const char *file, int line, const char *function)
{
        unsigned place = place_of(file, line);
        struct timespec now;
        uint64_t n_more;
        long said_s = atomic_load(&places[place].said_s);

        clock_gettime(CLOCK_BOOTTIME, &now);
        if ((said_s && now.tv_sec - said_s < PLACE_S) ||
            !atomic_compare_exchange_strong(&places[place].said_s, &said_s, now.tv_sec)) {
                atomic_fetch_add(&places[place].n_more, 1);
                return r;
        }
        n_more = atomic_exchange(&places[place].n_more, 0);
        if (n_more)
                log_error("%s:%d: %s: %s (and %" PRIu64 " times more before)", file, line, function,
                          strerror(-r), n_more);
        else
                log_error("%s:%d: %s: %s", file, line, function, strerror(-r));
        return r;
}
