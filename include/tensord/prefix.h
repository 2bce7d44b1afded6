/* SPDX-License-Identifier: MIT */
/*
 * The prefix of a daemon's objects in /dev/shm
 *
 * Everything that a daemon keeps in POSIX shared memory has a name beginning with this prefix,
 * which follows from the daemon's uid and the absolute path of its socket. The daemon takes it at
 * start; tensorctl purge finds by it what a daemon left behind.
 */
#pragma once

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* "tensord." and 16 hexadecimal digits, with the terminating NUL */
#define TD_SHM_PREFIX_SIZE 32

/*
 * The path with its directory resolved (absolute, without symbolic links), so that two spellings of
 * one path give one prefix. 0, or a negative errno: the directory must exist.
 */
static inline int td_absolute_path(char *out, size_t n_out, const char *path)
{
        const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
        char directory[PATH_MAX] = ".", resolved[PATH_MAX];
        int n;

        if (slash) {
                size_t n_directory = slash == path ? 1 : (size_t)(slash - path);

                if (n_directory >= sizeof(directory))
                        return -ENAMETOOLONG;
                memcpy(directory, path, n_directory);
                directory[n_directory] = '\0';
        }
        if (!*base)
                return -EISDIR;
        if (!realpath(directory, resolved))
                return -errno;
        n = snprintf(out, n_out, "%s/%s", strcmp(resolved, "/") ? resolved : "", base);
        return n < 0 || (size_t)n >= n_out ? -ENAMETOOLONG : 0;
}

/* FNV-1a, 64 bits, of "<uid>:<socket_path>"; socket_path as td_absolute_path() yields it */
static inline void td_shm_prefix(char out[TD_SHM_PREFIX_SIZE], uid_t uid, const char *socket_path)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        char owner[24];

        snprintf(owner, sizeof(owner), "%lu:", (unsigned long)uid);
        for (const char *p = owner; *p; p++)
                hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
        for (const char *p = socket_path; *p; p++)
                hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
        snprintf(out, TD_SHM_PREFIX_SIZE, "tensord.%016llx", (unsigned long long)hash);
}
