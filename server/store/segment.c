/* SPDX-License-Identifier: MIT */
#include "store/segment.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "store/guard.h"

#define PAGE 4096

static_assert(TD_HEADER_BYTES % PAGE == 0, "data begins on a page");

void warm_init(struct warm *warm)
{
        pthread_mutex_init(&warm->lock, NULL);
        list_init(&warm->segments);
        warm->n_segments = 0;
}

void warm_deinit(struct warm *warm)
{
        assert(list_is_empty(&warm->segments) && warm->n_segments == 0);
        pthread_mutex_destroy(&warm->lock);
}

uint64_t segment_class(uint64_t n_bytes)
{
        uint64_t n_pages = n_bytes / PAGE + (n_bytes % PAGE != 0), step = 1;

        while (n_pages / step > 15)
                step *= 2;
        return TD_HEADER_BYTES + (n_pages + step - 1) / step * step * PAGE;
}

int segment_new(struct segment **segmentp, const struct shm *shm, struct warm *warm, uid_t uid,
                const uint8_t random[SHM_RANDOM], uint64_t file_bytes)
{
        struct segment *segment = calloc(1, sizeof(*segment));

        if (!segment)
                return -ENOMEM;
        segment->shm = shm;
        segment->warm = warm;
        segment->uid = uid;
        memcpy(segment->random, random, SHM_RANDOM);
        segment->id = shm_segment_id(random);
        segment->file_bytes = file_bytes;
        segment->n_refs = 1;
        segment->fd = -1;
        segment->slot = -1;
        list_init(&segment->warm_link);
        list_init(&segment->grants);
        list_init(&segment->link);
        list_init(&segment->bucket_link);
        list_init(&segment->own_link);
        list_init(&segment->parked_link);
        *segmentp = segment;
        return 0;
}

struct segment *segment_free(struct segment *segment)
{
        if (!segment)
                return NULL;
        assert(!segment->map && segment->fd < 0 && segment->n_pins == 0);
        assert(!segment->charge.user && !segment->bucket && list_is_empty(&segment->grants));
        free(segment);
        return NULL;
}

int segment_allocate(struct segment *segment)
{
        _cleanup_(closep) int fd = -1;
        char name[SHM_NAME_MAX];
        struct stat st;
        int r;

        assert(!segment->has_file);
        shm_segment_name(segment->shm, segment->uid, segment->random, name);
        r = shm_create(segment->shm, name, segment->file_bytes, &fd);
        if (r)
                return r == SHM_E_FULL ? STORE_E_FULL : r;
        segment->has_file = true;
        if (fstat(fd, &st) < 0)
                return error_origin(-errno);
        segment->inode = st.st_ino;
        return 0;
}

int segment_open(const struct segment *segment, bool writable)
{
        char name[SHM_NAME_MAX];
        int fd;

        shm_segment_name(segment->shm, segment->uid, segment->random, name);
        fd = openat(segment->shm->fd, name,
                    (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? error_origin(-errno) : fd;
}

int segment_open_for_client(const struct segment *segment, bool writable)
{
        return segment_open(segment, writable && !segment->is_sealed);
}

/* ---- the mapping ---- */

static int segment_map(struct segment *segment)
{
        _cleanup_(closep) int fd = -1;
        struct stat st;
        uint8_t *map;
        int slot;

        fd = segment_open(segment, true);
        if (fd < 0)
                return steal_fd(&fd);
        if (fstat(fd, &st) < 0)
                return error_origin(-errno);
        if (st.st_ino != segment->inode)
                return error_origin(-ESTALE);
        map = mmap(NULL, segment->file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
                return error_origin(-errno);
        slot = guard_insert(map, segment->file_bytes, &segment->is_poisoned);
        if (slot < 0) {
                munmap(map, segment->file_bytes);
                return error_origin(slot);
        }
        madvise(map, segment->file_bytes, MADV_DONTDUMP);
        segment->map = map;
        segment->slot = slot;
        segment->fd = steal_fd(&fd);
        return 0;
}

static void segment_drop_map(struct segment *segment)
{
        assert(segment->n_pins == 0);
        if (!list_is_empty(&segment->warm_link)) {
                list_unlink(&segment->warm_link);
                segment->warm->n_segments--;
        }
        if (!segment->map)
                return;
        guard_remove(segment->slot);
        munmap(segment->map, segment->file_bytes);
        close(segment->fd);
        segment->map = NULL;
        segment->slot = -1;
        segment->fd = -1;
}

void segment_unmap(struct segment *segment)
{
        pthread_mutex_lock(&segment->warm->lock);
        segment_drop_map(segment);
        pthread_mutex_unlock(&segment->warm->lock);
}

int segment_pin(struct segment *segment)
{
        struct warm *warm = segment->warm;
        int r = 0;

        assert(segment->has_file);
        pthread_mutex_lock(&warm->lock);
        if (!segment->map)
                r = segment_map(segment);
        if (!r && segment->n_pins++ == 0 && !list_is_empty(&segment->warm_link)) {
                list_unlink(&segment->warm_link);
                warm->n_segments--;
        }
        pthread_mutex_unlock(&warm->lock);
        return r;
}

void segment_unpin(struct segment *segment)
{
        struct warm *warm = segment->warm;

        pthread_mutex_lock(&warm->lock);
        assert(segment->n_pins > 0 && list_is_empty(&segment->warm_link));
        if (--segment->n_pins == 0) {
                list_push_back(&warm->segments, &segment->warm_link);
                warm->n_segments++;
                if (segment_is_poisoned(segment))
                        segment_drop_map(segment);
                else if (warm->n_segments > WARM_MAX)
                        segment_drop_map(list_first(&warm->segments, struct segment, warm_link));
        }
        pthread_mutex_unlock(&warm->lock);
}

void *segment_data(const struct segment *segment)
{
        assert(segment->n_pins > 0);
        return segment->map + TD_HEADER_BYTES;
}

bool segment_is_poisoned(const struct segment *segment)
{
        return atomic_load(&segment->is_poisoned);
}

uint64_t segment_id(const struct segment *segment)
{
        return segment->id;
}

uint64_t segment_map_bytes(const struct segment *segment)
{
        return segment->file_bytes;
}

uint64_t segment_n_bytes(const struct segment *segment)
{
        return segment->file_bytes - TD_HEADER_BYTES;
}

/* ---- the file ---- */

/* Does the kernel see anybody whom such a lease would be in the way of? */
static int lease_test(int fd, int type)
{
        if (fcntl(fd, F_SETLEASE, type) < 0)
                return errno == EAGAIN ? SEGMENT_E_HELD : error_origin(-errno);
        if (fcntl(fd, F_SETLEASE, F_UNLCK) < 0)
                return error_origin(-errno);
        return 0;
}

int segment_test(struct segment *segment)
{
        _cleanup_(closep) int opened = -1;
        int r = 0;

        /* Nobody maps or unmaps it meanwhile. */
        pthread_mutex_lock(&segment->warm->lock);
        if (segment->fd < 0)
                r = opened = segment_open(segment, true);
        if (r >= 0)
                r = lease_test(segment->fd < 0 ? opened : segment->fd, F_WRLCK);
        pthread_mutex_unlock(&segment->warm->lock);
        return r;
}

int segment_freeze(struct segment *segment)
{
        _cleanup_(closep) int fd = -1;
        int r = SEGMENT_E_HELD;

        assert(segment->is_sealed);
        /* Our own mapping is one that can be written: under the lock no other comes to be. */
        pthread_mutex_lock(&segment->warm->lock);
        if (segment->n_pins == 0) {
                segment_drop_map(segment);
                fd = segment_open(segment, false);
                r = fd < 0 ? fd : lease_test(fd, F_RDLCK);
        }
        pthread_mutex_unlock(&segment->warm->lock);
        return r;
}

int segment_verify(struct segment *segment)
{
        char name[SHM_NAME_MAX];
        struct stat st;

        shm_segment_name(segment->shm, segment->uid, segment->random, name);
        if (fstatat(segment->shm->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? SEGMENT_E_CHANGED : error_origin(-errno);
        if (st.st_ino != segment->inode)
                return SEGMENT_E_CHANGED;
        if (shm_is_whole(&st, segment->file_bytes))
                return segment_is_poisoned(segment) ? SEGMENT_E_CHANGED : 0;
        if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > segment->file_bytes) {
                _cleanup_(closep) int fd = segment_open(segment, true);

                if (fd < 0)
                        return fd;
                if (ftruncate(fd, (off_t)segment->file_bytes) < 0)
                        return error_origin(-errno);
        }
        return SEGMENT_E_CHANGED;
}

int segment_write_header(struct segment *segment, const uint8_t header[TD_HEADER_BYTES])
{
        _cleanup_(closep) int opened = -1;
        ssize_t n;

        opened = segment_open(segment, true);
        if (opened < 0)
                return steal_fd(&opened);
        n = pwrite(opened, header, TD_HEADER_BYTES, 0);
        if (n < 0)
                return error_origin(-errno);
        return n == TD_HEADER_BYTES ? 0 : error_origin(-EIO);
}

void segment_destroy(struct segment *segment)
{
        char name[SHM_NAME_MAX];

        segment_unmap(segment);
        if (!segment->has_file)
                return;
        shm_segment_name(segment->shm, segment->uid, segment->random, name);
        if (unlinkat(segment->shm->fd, name, 0) < 0 && errno != ENOENT) {
                error_origin(-errno);
                return;
        }
        segment->has_file = false;
}
