/* SPDX-License-Identifier: MIT */
/*
 * What a daemon's objects are known by
 *
 * Everything that a daemon keeps in POSIX shared memory has a name beginning with this prefix,
 * which follows from the daemon's uid and the absolute path of its socket. The daemon takes it at
 * start; tensorctl purge finds by it what a daemon left behind. A directory that tensors are
 * spilled to says in a file whose they are: by the boot, by the directory that the catalog lies in,
 * and by the prefix; purge and daemon find by it, and by their names, which files are theirs.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

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

/* 36 characters, with zeros behind them */
#define TD_BOOT_ID_SIZE 40

/*
 * Of the machine as it runs now. Where there is none to be read, unknown is a value too: the same
 * at the next start. 0, or a negative errno: there is one, and it could not be read.
 */
static inline int td_boot_id(char id[TD_BOOT_ID_SIZE])
{
        int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        const char *given = getenv("TENSORD_BOOT_ID");
        ssize_t n = fd < 0 ? 0 : read(fd, id, TD_BOOT_ID_SIZE - 1);
        int r = n < 0 || (fd < 0 && errno != ENOENT && errno != EACCES) ? -errno : 0;

        if (fd >= 0)
                close(fd);
        if (r < 0)
                return r;
        if (n == 0) {
                n = (ssize_t)strnlen(given ? given : "", TD_BOOT_ID_SIZE - 1);
                memcpy(id, given ? given : "", (size_t)n);
        }
        while (n > 0 && id[n - 1] == '\n')
                n--;
        memset(id + n, 0, TD_BOOT_ID_SIZE - (size_t)n);
        return 0;
}

/* The file in a spill directory that says whose it is, and how long its line may be */
#define TD_SPILL_OWNER ".tensord"
#define TD_SPILL_OWNER_NEW TD_SPILL_OWNER ".new"
#define TD_SPILL_OWNER_SIZE 256

/* That line, of a catalog in that directory (a descriptor): its length, or negative errno. */
static inline int td_spill_owner(char out[TD_SPILL_OWNER_SIZE], int directory, const char *boot_id,
                                 const char *its_prefix)
{
        struct stat st;

        if (fstat(directory, &st) < 0)
                return -errno;
        return snprintf(out, TD_SPILL_OWNER_SIZE, "%.36s %ju %ju %.120s\n", boot_id,
                        (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, its_prefix);
}

/* What that file says, with a NUL behind it: how long it is, or negative errno. */
static inline ssize_t td_spill_owner_read(char text[TD_SPILL_OWNER_SIZE + 1], int spill_directory)
{
        int fd = openat(spill_directory, TD_SPILL_OWNER,
                        O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, TD_SPILL_OWNER_SIZE);

        if (n < 0)
                n = -errno;
        if (fd >= 0)
                close(fd);
        text[n < 0 ? 0 : n] = '\0';
        return n;
}

/* A file of a tensor there: the prefix, so many hexadecimal digits, and one of the two ends */
#define TD_SPILL_PREFIX "tensord."
#define TD_SPILL_HEX 32
#define TD_SPILL_WHOLE ".npy"
#define TD_SPILL_PART ".part"

static inline bool td_spill_is_name(const char *name)
{
        size_t n_prefix = strlen(TD_SPILL_PREFIX);

        if (strncmp(name, TD_SPILL_PREFIX, n_prefix) != 0 ||
            strspn(name + n_prefix, "0123456789abcdef") != TD_SPILL_HEX)
                return false;
        name += n_prefix + TD_SPILL_HEX;
        return strcmp(name, TD_SPILL_WHOLE) == 0 || strcmp(name, TD_SPILL_PART) == 0;
}
