/* SPDX-License-Identifier: MIT */
/*
 * Cleanup
 *
 * Build in a guarded local, publish last: _cleanup_(thing_freep) frees what an early return leaves
 * behind, steal_ptr() takes it out of the guard. Every destructor takes NULL and returns NULL.
 */
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* void nounp(struct noun **) from struct noun *noun_free(struct noun *) */
#define DEFINE_CLEANUP(type, fn)                                                                   \
        static inline void fn##p(type **p)                                                         \
        {                                                                                          \
                if (*p)                                                                            \
                        fn(*p);                                                                    \
        }

#define steal_ptr(p)                                                                               \
        ({                                                                                         \
                __typeof__(*(p)) *_p = (p), _v = *_p;                                              \
                *_p = NULL;                                                                        \
                _v;                                                                                \
        })

static inline int steal_fd(int *fdp)
{
        int fd = *fdp;

        *fdp = -1;
        return fd;
}

static inline void freep(void *p)
{
        free(*(void **)p);
}

static inline void closep(int *fdp)
{
        if (*fdp >= 0)
                close(*fdp);
}

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
