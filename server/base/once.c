/* SPDX-License-Identifier: MIT */
#include "base/once.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

struct row {
        enum log_level level;
        enum once_cause cause;
        uid_t uid;
        uint64_t said_ms; /* when the last line was written; 0: the row is free */
        uint64_t n_more;  /* that were not, since */
        char text[128];   /* of the last one */
};

static struct row rows[ONCE_ROWS];
static struct row others; /* of all for which there was no row */

/* Never 0. */
static uint64_t later_ms(void)
{
        return clock_now_ms() + 1;
}

static uint64_t (*clock_ms)(void) = later_ms;

static bool row_is_old(const struct row *row, uint64_t now)
{
        return now - row->said_ms >= ONCE_MS;
}

static void row_tell(struct row *row, uint64_t now)
{
        if (row->n_more == 0)
                return;
        if (row == &others)
                log_line(row->level, "%" PRIu64 " more lines of other causes and users, the last: "
                                     "uid %u: %s", row->n_more, (unsigned)row->uid, row->text);
        else
                log_line(row->level, "uid %u: %" PRIu64 " more in %" PRIu64 " s, the last: %s",
                         (unsigned)row->uid, row->n_more, (now - row->said_ms) / 1000, row->text);
        row->n_more = 0;
        row->said_ms = now;
}

/* The row of that cause and user, a free one, or the one of all others. */
static struct row *row_find(enum once_cause cause, uid_t uid, uint64_t now)
{
        struct row *free = NULL;

        for (struct row *row = rows; row < rows + ONCE_ROWS; row++) {
                if (row->said_ms && row->cause == cause && row->uid == uid)
                        return row;
                if (!row->said_ms || row_is_old(row, now))
                        free = row;
        }
        if (!free)
                return &others;
        row_tell(free, now);
        *free = (struct row){ .cause = cause, .uid = uid };
        return free;
}

void once_log(enum log_level level, enum once_cause cause, uid_t uid, const char *format, ...)
{
        uint64_t now = clock_ms();
        struct row *row = row_find(cause, uid, now);
        va_list args;

        va_start(args, format);
        vsnprintf(row->text, sizeof(row->text), format, args);
        va_end(args);
        row->level = level;
        row->uid = uid;
        if (row != &others && (!row->said_ms || row_is_old(row, now))) {
                row_tell(row, now);
                log_line(level, "uid %u: %s", (unsigned)uid, row->text);
                row->said_ms = now;
                return;
        }
        row->said_ms = row->said_ms ? row->said_ms : now;
        row->n_more++;
}

void once_tell(bool all)
{
        uint64_t now = clock_ms();

        for (struct row *row = rows; row < rows + ONCE_ROWS; row++)
                if (row->said_ms && (all || row_is_old(row, now)))
                        row_tell(row, now);
        if (others.said_ms && (all || row_is_old(&others, now))) {
                row_tell(&others, now);
                others.said_ms = 0;
        }
}

bool once_is_counting(void)
{
        if (others.n_more)
                return true;
        for (const struct row *row = rows; row < rows + ONCE_ROWS; row++)
                if (row->n_more)
                        return true;
        return false;
}

void once_reset(uint64_t (*now_ms)(void))
{
        memset(rows, 0, sizeof(rows));
        others = (struct row){ 0 };
        clock_ms = now_ms ? now_ms : later_ms;
}
