/* SPDX-License-Identifier: MIT */
/*
 * A directory of shared memory objects, for targets that need one
 *
 * It is given by TENSORD_FUZZ_DIRECTORY (run removes it afterwards), or made and removed here. The
 * lock of a store is no part of what is looked at: it is made whatever becomes of the store.
 */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "fuzz.h"

#define SCENE_PREFIX "fuzz"

static char scene_directory[256];
static int scene_fd = -1;

static inline void scene_end(void)
{
        rmdir(scene_directory);
}

static inline void scene_begin(void)
{
        const char *given = getenv("TENSORD_FUZZ_DIRECTORY");

        if (scene_fd >= 0)
                return;
        if (given) {
                snprintf(scene_directory, sizeof(scene_directory), "%s", given);
        } else {
                strcpy(scene_directory, "/dev/shm/tensord-fuzz-XXXXXX");
                must(mkdtemp(scene_directory) != NULL, "%s", scene_directory);
                atexit(scene_end);
        }
        scene_fd = open(scene_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(scene_fd >= 0, "%s", scene_directory);
}

/* Calls back for every file but the lock; returns how many there are. */
static inline unsigned scene_each(void (*fn)(const char *name, const struct stat *st, void *ctx),
                                  void *ctx)
{
        int fd = openat(scene_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;
        struct stat st;
        unsigned n = 0;

        must(dir != NULL, "%s", scene_directory);
        while ((entry = readdir(dir))) {
                if (entry->d_name[0] == '.' || strcmp(entry->d_name, SCENE_PREFIX ".lock") == 0)
                        continue;
                must(fstatat(scene_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0);
                n++;
                if (fn)
                        fn(entry->d_name, &st, ctx);
        }
        closedir(dir);
        return n;
}

static inline void scene_unlink(const char *name, const struct stat *st, void *ctx)
{
        (void)ctx;
        unlinkat(scene_fd, name, S_ISDIR(st->st_mode) ? AT_REMOVEDIR : 0);
}

static inline void scene_clear(void)
{
        scene_each(scene_unlink, NULL);
        unlinkat(scene_fd, SCENE_PREFIX ".lock", 0);
}

static inline void scene_hash_file(const char *name, const struct stat *st, void *ctx)
{
        struct {
                uint64_t name, content;
                mode_t mode;
                ino_t inode;
                off_t n_bytes;
                blkcnt_t n_blocks;
        } all;
        uint8_t bytes[16384];
        uint64_t *sum = ctx;
        ssize_t n;
        int fd;

        memset(&all, 0, sizeof(all));
        all.name = XXH3_64bits(name, strlen(name));
        all.mode = st->st_mode;
        all.inode = st->st_ino;
        all.n_bytes = st->st_size;
        all.n_blocks = st->st_blocks;
        fd = S_ISREG(st->st_mode) ? openat(scene_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
        while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0)
                all.content = XXH3_64bits_withSeed(bytes, (size_t)n, all.content);
        if (fd >= 0)
                close(fd);
        *sum += XXH3_64bits(&all, sizeof(all)); /* in whatever order they are listed */
}

/* Changes with every change of a file, its content, or its pages. */
static inline uint64_t scene_hash(void)
{
        uint64_t sum = 0;

        scene_each(scene_hash_file, &sum);
        return sum;
}
