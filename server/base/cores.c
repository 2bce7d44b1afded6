/* SPDX-License-Identifier: MIT */
#include "base/cores.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/error.h"

void cores_go(const cpu_set_t *to, const cpu_set_t *all)
{
        static atomic_bool has_complained;
        cpu_set_t any;

        if (sched_setaffinity(0, sizeof(*to), to) || !sched_setaffinity(0, sizeof(*all), all))
                return;
        memset(&any, 0xff, sizeof(any));
        if (sched_setaffinity(0, sizeof(any), &any) && !atomic_exchange(&has_complained, true))
                log_warning("a thread stays on some of its cores: %s", strerror(errno));
}
