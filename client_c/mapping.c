/* SPDX-License-Identifier: MIT */
#include "mapping.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static atomic_uint_fast64_t n_forks;

void mapping_count_fork(void)
{
        atomic_fetch_add(&n_forks, 1);
}

uint64_t mapping_n_forks(void)
{
        return atomic_load_explicit(&n_forks, memory_order_relaxed);
}

static void mapped_free(struct mapped *mapped)
{
        assert(mapped->n_users == 0 && !mapped->is_in_table);
        if (mapped->spare_fd >= 0)
                close(mapped->spare_fd);
        munmap(mapped->address, mapped->n_bytes);
        free(mapped);
}

int mapped_take_spare(struct mapped *mapped)
{
        int fd = mapped->spare_fd;

        mapped->spare_fd = -1;
        return fd;
}

static void mapped_leave(struct mappings *mappings, struct mapped *mapped)
{
        HASH_DEL(mappings->table, mapped);
        mapped->is_in_table = false;
}

/*
 * A descriptor for a segment that is mapped already: somebody may want it; else only one that
 * allows more is worth anything. The address stays.
 */
static int mapped_replace(struct mapped *mapped, const struct handed *handed, int fd)
{
        if (mapped->n_wanting > 0 && mapped->spare_fd < 0) {
                mapped->spare_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
                return 0;
        }
        if (!handed->is_writable || mapped->can_write || handed->n_bytes != mapped->n_bytes)
                return 0;
        if (mmap(mapped->address, mapped->n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                 fd, 0) == MAP_FAILED)
                return -errno;
        mapped->can_write = mapped->is_writable = true;
        mapped->is_populated = false;
        mapped->n_forks = mapping_n_forks();
        return 0;
}

static int mappings_insert(struct mappings *mappings, const struct handed *handed, int fd)
{
        int protection = PROT_READ | (handed->is_writable ? PROT_WRITE : 0);
        struct mapped *mapped = mappings_find(mappings, handed->segment);
        void *address;

        if (mapped)
                return mapped_replace(mapped, handed, fd);
        mapped = malloc(sizeof(*mapped));
        if (!mapped)
                return -ENOMEM;
        address = mmap(NULL, handed->n_bytes, protection, MAP_SHARED, fd, 0);
        if (address == MAP_FAILED) {
                int error = errno;

                free(mapped);
                return -error;
        }
        *mapped = (struct mapped){
                .segment = handed->segment,
                .address = address,
                .n_bytes = handed->n_bytes,
                .can_write = handed->is_writable,
                .is_writable = handed->is_writable,
                .is_in_table = true,
                .n_forks = mapping_n_forks(),
                .spare_fd = -1,
        };
        HASH_ADD(hh, mappings->table, segment, sizeof(mapped->segment), mapped);
        if (!mapped->hh.tbl) {
                munmap(address, handed->n_bytes);
                free(mapped);
                return -ENOMEM;
        }
        return 0;
}

void mappings_add(struct mappings *mappings, const struct handed *handed, int fd)
{
        int r = mappings_insert(mappings, handed, fd);

        if (r < 0)
                mappings->error = -r;
        close(fd);
}

struct mapped *mappings_find(const struct mappings *mappings, uint64_t segment)
{
        struct mapped *mapped;

        HASH_FIND(hh, mappings->table, &segment, sizeof(segment), mapped);
        return mapped;
}

void mapped_use(struct mapped *mapped)
{
        mapped->n_users++;
}

bool mapped_unuse(struct mappings *mappings, struct mapped *mapped)
{
        bool was_in_table = mapped->is_in_table;

        assert(mapped->n_users > 0);
        if (--mapped->n_users > 0)
                return false;
        if (was_in_table && mapped->n_forks == mapping_n_forks() && !mapped->is_asked)
                return false;
        if (was_in_table)
                mapped_leave(mappings, mapped);
        mapped_free(mapped);
        return was_in_table;
}

bool mappings_trim(struct mappings *mappings, uint64_t segment)
{
        struct mapped *mapped = mappings_find(mappings, segment);

        if (!mapped)
                return true;
        if (mapped->n_users > 0) {
                mapped->is_asked = true;
                return false;
        }
        mapped_leave(mappings, mapped);
        mapped_free(mapped);
        return true;
}

void mappings_purge(struct mappings *mappings, void (*gone)(void *ctx, uint64_t segment), void *ctx)
{
        uint64_t now = mapping_n_forks();
        struct mapped *mapped, *next;

        if (mappings->n_forks == now)
                return;
        mappings->n_forks = now;
        HASH_ITER (hh, mappings->table, mapped, next) {
                uint64_t segment = mapped->segment;

                if (mapped->n_users == 0 && mapped->n_forks != now &&
                    mappings_trim(mappings, segment))
                        gone(ctx, segment);
        }
}

void mappings_detach(struct mappings *mappings)
{
        struct mapped *mapped, *next;

        HASH_ITER (hh, mappings->table, mapped, next) {
                mapped_leave(mappings, mapped);
                if (mapped->n_users == 0)
                        mapped_free(mapped);
        }
}

int mapped_protect(struct mapped *mapped, bool is_writable)
{
        if (mapped->is_writable == is_writable)
                return 0;
        if (is_writable && !mapped->can_write)
                return -EACCES;
        if (mprotect(mapped->address, mapped->n_bytes, PROT_READ | (is_writable ? PROT_WRITE : 0)) <
            0)
                return -errno;
        mapped->is_writable = is_writable;
        return 0;
}

void mapped_renounce(struct mapped *mapped, int fd)
{
        if (mmap(mapped->address, mapped->n_bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) !=
            MAP_FAILED)
                mapped->can_write = mapped->is_writable = false;
        close(fd);
}

void mapped_populate(struct mapped *mapped)
{
        if (mapped->is_populated || !mapped->is_writable)
                return;
        /* Where the kernel cannot, pages come as they are written. */
        madvise(mapped->address, mapped->n_bytes, MADV_POPULATE_WRITE);
        mapped->is_populated = true;
}
