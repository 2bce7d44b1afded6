/* SPDX-License-Identifier: MIT */
#include "store/spill_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "store/npy.h"
#include "tensord/prefix.h"

/* Read, hashed and written at a time. */
#define SPILL_PIECE ((size_t)1 << 20)
/* Written before the disk is waited for: so much is left for the end, which nothing can stop. */
#define SPILL_SYNC ((uint64_t)16 << 20)

static_assert(TD_SPILL_HEX == 2 * SHM_RANDOM, "a name in full");

static void hash_freep(XXH3_state_t **hashp)
{
        XXH3_freeState(*hashp);
}

/* ---- the directory ---- */

int spill_dir_open(struct spill_dir *dir, const char *path, uint64_t n_free, char message[256])
{
        _cleanup_(closep) int fd = -1;
        struct stat st;
        int r;

        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0) {
                r = -errno;
                snprintf(message, 256, "the spill directory %.160s: %s", path, strerror(-r));
                return r == -ENOENT || r == -ENOTDIR || r == -EACCES ? SPILL_E_REFUSED
                                                                     : error_origin(r);
        }
        if (st.st_uid != geteuid() || (st.st_mode & 077)) {
                snprintf(message, 256,
                         "the spill directory %.100s belongs to uid %u and has the permissions "
                         "%04o; it has to be the daemon's alone (uid %u, 0700)",
                         path, st.st_uid, st.st_mode & 07777, geteuid());
                return SPILL_E_REFUSED;
        }
        while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno == EINTR)
                        continue;
                if (errno != EWOULDBLOCK)
                        return error_origin(-errno);
                snprintf(message, 256,
                         "the spill directory %.160s is in use by another daemon; each needs one "
                         "of its own",
                         path);
                return SPILL_E_REFUSED;
        }
        *dir = (struct spill_dir){ .fd = steal_fd(&fd), .n_free = n_free };
        return 0;
}

void spill_dir_close(struct spill_dir *dir)
{
        closep(&dir->fd);
        dir->fd = -1;
}

/* ---- names ---- */

static void spill_name(const uint8_t random[SHM_RANDOM], const char *end, char name[SHM_NAME_MAX])
{
        strcpy(name, TD_SPILL_PREFIX);
        shm_put_hex(name + strlen(TD_SPILL_PREFIX), random);
        strcat(name, end);
}

bool spill_parse(const char *name, uint8_t random[SHM_RANDOM], bool *is_wholep)
{
        if (!td_spill_is_name(name) || !shm_take_hex(name + strlen(TD_SPILL_PREFIX), random))
                return false;
        *is_wholep = strcmp(name + strlen(TD_SPILL_PREFIX) + TD_SPILL_HEX, TD_SPILL_WHOLE) == 0;
        return true;
}

static int spill_unlink(const struct spill_dir *dir, const uint8_t random[SHM_RANDOM],
                        const char *end)
{
        char name[SHM_NAME_MAX];

        spill_name(random, end, name);
        return unlinkat(dir->fd, name, 0) < 0 && errno != ENOENT ? error_origin(-errno) : 0;
}

int spill_remove_part(const struct spill_dir *dir, const uint8_t random[SHM_RANDOM])
{
        return spill_unlink(dir, random, TD_SPILL_PART);
}

int spill_remove(const struct spill_dir *dir, const uint8_t random[SHM_RANDOM])
{
        int r = spill_unlink(dir, random, TD_SPILL_WHOLE), r_part = spill_remove_part(dir, random);

        return r ? r : r_part;
}

/* ---- writing ---- */

/* All of them: 0, SPILL_E_FULL or negative errno. */
static int write_all(int fd, const uint8_t *bytes, size_t n_bytes)
{
        while (n_bytes > 0) {
                ssize_t n = write(fd, bytes, n_bytes);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == ENOSPC || errno == EDQUOT ? SPILL_E_FULL
                                                                  : error_origin(-errno);
                bytes += n;
                n_bytes -= (size_t)n;
        }
        return 0;
}

/* As many as there are, up to n_bytes: how many, or negative errno. */
static ssize_t read_all(int fd, uint8_t *bytes, size_t n_bytes)
{
        size_t n_read = 0;

        while (n_read < n_bytes) {
                ssize_t n = read(fd, bytes + n_read, n_bytes - n_read);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_origin(-errno);
                if (n == 0)
                        break;
                n_read += (size_t)n;
        }
        return (ssize_t)n_read;
}

static int spill_sync_range(int fd, uint64_t at, unsigned how)
{
        if (sync_file_range(fd, (off_t)at, SPILL_SYNC, how) == 0 || errno == ENOSYS ||
            errno == EINVAL || errno == ESPIPE)
                return 0; /* where it is not to be had, fsync() does all */
        return errno == ENOSPC || errno == EDQUOT ? SPILL_E_FULL : error_origin(-errno);
}

/*
 * n_at bytes were written. The disk begins with the last of them, and is waited for until those
 * before are there. An error that is met here is told once, and no more by the fsync() at the end.
 */
static int spill_push(int fd, uint64_t n_at)
{
        int r;

        if (n_at == 0 || n_at % SPILL_SYNC != 0)
                return 0;
        r = spill_sync_range(fd, n_at - SPILL_SYNC, SYNC_FILE_RANGE_WRITE);
        if (r || n_at == SPILL_SYNC)
                return r;
        return spill_sync_range(fd, n_at - 2 * SPILL_SYNC,
                                SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                        SYNC_FILE_RANGE_WAIT_AFTER);
}

/*
 * The segment's data, by way of memory that nobody else sees: what is hashed is what is written,
 * and a segment that somebody cuts meanwhile is a short read.
 */
static int spill_copy(int from, int to, uint64_t n_bytes, uint64_t *checkp, const atomic_bool *stop)
{
        _cleanup_(freep) uint8_t *piece = malloc(SPILL_PIECE);
        _cleanup_(hash_freep) XXH3_state_t *hash = XXH3_createState();
        int r = 0;

        if (!piece || !hash)
                return -ENOMEM;
        XXH3_64bits_reset(hash);
        for (uint64_t left = n_bytes; left > 0 && !r;) {
                size_t n = left < SPILL_PIECE ? (size_t)left : SPILL_PIECE;
                ssize_t n_read;

                if (atomic_load(stop))
                        return SPILL_E_STOPPED;
                n_read = read_all(from, piece, n);
                if (n_read < 0)
                        return (int)n_read;
                if ((size_t)n_read < n)
                        return SPILL_E_DAMAGED;
                XXH3_64bits_update(hash, piece, n);
                r = write_all(to, piece, n);
                left -= n;
                if (!r && left > 0)
                        r = spill_push(to, n_bytes - left);
        }
        *checkp = XXH3_64bits_digest(hash);
        return r;
}

/* It would take what the file system keeps for others. */
static bool spill_is_full(const struct spill_dir *dir, uint64_t n_bytes)
{
        struct statvfs st;

        if (dir->n_free == 0 || fstatvfs(dir->fd, &st) < 0)
                return false;
        return (uint64_t)st.f_bavail * st.f_frsize < n_bytes + dir->n_free;
}

static int spill_fill(const struct spill_dir *dir, int fd, struct segment *segment,
                      const struct desc *desc, struct spill_place *place, const atomic_bool *stop)
{
        _cleanup_(closep) int from = -1;
        uint8_t header[TD_HEADER_BYTES];
        uint64_t n_data = (uint64_t)desc_n_bytes(desc);
        int r;

        r = segment_verify(segment);
        if (r)
                return r < 0 ? r : SPILL_E_DAMAGED;
        place->n_bytes = TD_HEADER_BYTES + n_data;
        /* A disk that has no room says so before anything is written; not all file systems can. */
        if (spill_is_full(dir, place->n_bytes))
                return SPILL_E_FULL;
        if (fallocate(fd, 0, 0, (off_t)place->n_bytes) < 0 && (errno == ENOSPC || errno == EDQUOT))
                return SPILL_E_FULL;
        from = segment_open(segment, false);
        if (from < 0)
                return steal_fd(&from);
        if (lseek(from, TD_HEADER_BYTES, SEEK_SET) < 0)
                return error_origin(-errno);
        npy_write(header, desc);
        r = write_all(fd, header, sizeof(header));
        if (!r)
                r = spill_copy(from, fd, n_data, &place->check, stop);
        if (!r && atomic_load(stop))
                r = SPILL_E_STOPPED;
        if (!r && fsync(fd) < 0)
                r = errno == ENOSPC || errno == EDQUOT ? SPILL_E_FULL : error_origin(-errno);
        /* It was spilled since memory is short: none of it is kept for the file. */
        if (!r)
                posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        return r;
}

int spill_write(const struct spill_dir *dir, struct segment *segment, const struct desc *desc,
                struct spill_place *place, const atomic_bool *stop)
{
        _cleanup_(closep) int fd = -1;
        char part[SHM_NAME_MAX], name[SHM_NAME_MAX];
        int r;

        spill_name(place->random, TD_SPILL_PART, part);
        spill_name(place->random, TD_SPILL_WHOLE, name);
        fd = openat(dir->fd, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return errno == ENOSPC || errno == EDQUOT ? SPILL_E_FULL : error_origin(-errno);
        r = spill_fill(dir, fd, segment, desc, place, stop);
        if (!r && atomic_load(stop))
                r = SPILL_E_STOPPED;
        if (!r && renameat(dir->fd, part, dir->fd, name) < 0)
                r = error_origin(-errno);
        if (!r && atomic_load(stop))
                r = SPILL_E_STOPPED;
        if (!r && fsync(dir->fd) < 0)
                r = error_origin(-errno);
        return r;
}

/* ---- reading ---- */

/* A file of the place's length that begins as it has to: its descriptor behind the header. */
static int spill_open(const struct spill_dir *dir, const struct spill_place *place,
                      const struct desc *desc, int *fdp)
{
        _cleanup_(closep) int fd = -1;
        uint8_t header[TD_HEADER_BYTES], wanted[TD_HEADER_BYTES];
        char name[SHM_NAME_MAX];
        struct stat st;
        ssize_t n;

        spill_name(place->random, TD_SPILL_WHOLE, name);
        fd = openat(dir->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                return SPILL_E_MISSING;
        if (fd < 0)
                return errno == ELOOP ? SPILL_E_DAMAGED : error_origin(-errno);
        if (fstat(fd, &st) < 0)
                return error_origin(-errno);
        if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != place->n_bytes)
                return SPILL_E_DAMAGED;
        n = read_all(fd, header, sizeof(header));
        if (n < 0)
                return (int)n;
        npy_write(wanted, desc);
        if (n < TD_HEADER_BYTES || memcmp(header, wanted, sizeof(header)) != 0)
                return SPILL_E_DAMAGED;
        *fdp = steal_fd(&fd);
        return 0;
}

int spill_look(const struct spill_dir *dir, const struct spill_place *place,
               const struct desc *desc)
{
        _cleanup_(closep) int fd = -1;

        return spill_open(dir, place, desc, &fd);
}

/* data NULL: to memory of our own, where nobody else writes; it is looked at and dropped. */
static int spill_load(const struct spill_dir *dir, const struct spill_place *place,
                      const struct desc *desc, uint8_t *data, const atomic_bool *stop)
{
        _cleanup_(closep) int fd = -1;
        _cleanup_(freep) uint8_t *own = data ? NULL : malloc(SPILL_PIECE);
        _cleanup_(hash_freep) XXH3_state_t *hash = XXH3_createState();
        uint64_t n_bytes = (uint64_t)desc_n_bytes(desc), at = 0;
        int r;

        if (!hash || (!data && !own))
                return -ENOMEM;
        r = spill_open(dir, place, desc, &fd);
        if (r)
                return r;
        XXH3_64bits_reset(hash);
        while (at < n_bytes) {
                size_t left = n_bytes - at, n = left < SPILL_PIECE ? left : SPILL_PIECE;
                uint8_t *piece = data ? data + at : own;
                ssize_t n_read;

                if (atomic_load(stop))
                        return SPILL_E_STOPPED;
                n_read = read_all(fd, piece, n);
                if (n_read < 0)
                        return (int)n_read;
                if ((size_t)n_read < n)
                        return SPILL_E_DAMAGED;
                XXH3_64bits_update(hash, piece, n);
                at += n;
        }
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        return XXH3_64bits_digest(hash) == place->check ? 0 : SPILL_E_DAMAGED;
}

int spill_read(const struct spill_dir *dir, const struct spill_place *place,
               const struct desc *desc, struct segment *segment, const atomic_bool *stop)
{
        int r = spill_load(dir, place, desc, segment_data(segment), stop);

        /* What somebody cut takes no bytes, or shows others: that says nothing of the file. */
        if (r && r != SPILL_E_STOPPED && segment_verify(segment) == SEGMENT_E_CHANGED)
                return SPILL_E_POISONED;
        /* Or somebody wrote there meanwhile. */
        if (r == SPILL_E_DAMAGED) {
                r = spill_load(dir, place, desc, NULL, stop);
                return r ? r : SPILL_E_POISONED;
        }
        return r;
}
