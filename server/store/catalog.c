/* SPDX-License-Identifier: MIT */
#include "store/catalog.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "store/catalog_file.h"
#include "store/guard.h"

/* The tail word stands in a cache line of its own. */
#define TAIL_OFFSET 2048
#define TAIL_CHECK_BITS 16

/* So much more than there is of it is mapped of an object, which may grow meanwhile. */
#define MAPPED 16
#define GROWTH_MAX (UINT64_C(1) << 20)

static const char catalog_magic[8] = "tdcatlg";

static_assert(sizeof(struct catalog_header) <= TAIL_OFFSET, "header and tail do not overlap");
static_assert(CATALOG_MAX < UINT64_C(1) << (64 - TAIL_CHECK_BITS),
              "an offset fits beside its check");
static_assert(CATALOG_MIN > CATALOG_RECORDS + TD_INLINE_MAX + 1024,
              "the smallest catalog holds a record");

uint64_t catalog_tail_word(uint64_t offset)
{
        return offset << TAIL_CHECK_BITS |
               (XXH3_64bits(&offset, sizeof(offset)) & ((1 << TAIL_CHECK_BITS) - 1));
}

void catalog_header_write(uint8_t *page, uint64_t n_bytes, const char *boot_id)
{
        struct catalog_header header = { .version = CATALOG_VERSION,
                                         .records = CATALOG_RECORDS,
                                         .n_bytes = n_bytes };

        memcpy(header.magic, catalog_magic, sizeof(header.magic));
        memcpy(header.boot_id, boot_id, strnlen(boot_id, TD_BOOT_ID_SIZE - 1));
        header.check = XXH3_64bits(&header, offsetof(struct catalog_header, check));
        memcpy(page, &header, sizeof(header));
}

static _Atomic uint64_t *catalog_tail(const struct catalog_file *file)
{
        return (_Atomic uint64_t *)(void *)(file->map + TAIL_OFFSET);
}

/* ---- the object ---- */

int catalog_file_map(struct catalog_file **filep, int *fdp, uint64_t n_bytes)
{
        _cleanup_(freep) struct catalog_file *file = calloc(1, sizeof(*file));
        uint64_t n_mapped = MAPPED * n_bytes;
        uint8_t *map;

        if (!file)
                return -ENOMEM;
        map = mmap(NULL, n_mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, *fdp, 0);
        if (map == MAP_FAILED)
                return error_origin(-errno);
        file->slot = guard_insert(map, n_mapped, &file->is_poisoned);
        if (file->slot < 0) {
                munmap(map, n_mapped);
                return error_origin(file->slot);
        }
        file->map = map;
        file->n_mapped = n_mapped;
        file->n_bytes = n_bytes;
        file->n_refs = 1;
        file->fd = steal_fd(fdp);
        *filep = steal_ptr(&file);
        return 0;
}

int catalog_file_create(struct catalog_file **filep, const struct shm *shm, uint64_t n_bytes)
{
        _cleanup_(closep) int fd = -1;
        char name[SHM_NAME_MAX];
        int r;

        r = shm_create_new(shm, n_bytes, name, &fd);
        if (r)
                return r == SHM_E_FULL ? CATALOG_E_FULL : r;
        r = catalog_file_map(filep, &fd, n_bytes);
        if (r) {
                shm_remove(shm, name);
                return r;
        }
        (*filep)->shm = shm;
        memcpy((*filep)->name, name, sizeof(name));
        catalog_header_write((*filep)->map, n_bytes, shm->boot_id);
        catalog_file_publish(*filep, CATALOG_RECORDS);
        return 0;
}

int catalog_file_install(struct catalog_file *file)
{
        return shm_install(file->shm, file->name, "catalog");
}

void catalog_file_publish(struct catalog_file *file, uint64_t tail)
{
        atomic_store_explicit(catalog_tail(file), catalog_tail_word(tail), memory_order_release);
}

int catalog_file_grow(struct catalog_file *file, struct charge *charge, uint64_t n_more,
                      bool is_beyond)
{
        struct charge more = { 0 };
        int r;

        if (atomic_load(&file->is_poisoned))
                return error_origin(-EIO);
        if (n_more > file->n_mapped - file->n_bytes || n_more > CATALOG_MAX - file->n_bytes)
                return CATALOG_E_FULL;
        if (!is_beyond && charge_take_for_all(&more, charge->user, RESOURCE_BYTES, n_more))
                return CATALOG_E_LIMIT;
        r = shm_grow(file->fd, file->n_bytes, file->n_bytes + n_more);
        charge_drop(&more);
        if (r)
                return r == SHM_E_FULL ? CATALOG_E_FULL : r;
        charge_adopt_more(charge, n_more);
        file->n_bytes += n_more;
        return 0;
}

struct catalog_file *catalog_file_unref(struct catalog_file *file)
{
        if (!file || --file->n_refs > 0)
                return NULL;
        shm_remove(file->shm, file->name);
        guard_remove(file->slot);
        munmap(file->map, file->n_mapped);
        close(file->fd);
        charge_drop(&file->charge);
        free(file);
        return NULL;
}

/* ---- the log ---- */

int catalog_create(struct catalog *catalog, const struct shm *shm)
{
        struct catalog_file *file;
        int r;

        r = catalog_file_create(&file, shm, CATALOG_MIN);
        if (r)
                return r;
        r = catalog_file_install(file);
        if (r) {
                catalog_file_unref(file);
                return r;
        }
        *catalog = (struct catalog){
                .shm = shm,
                .file = file,
                .version = CATALOG_VERSION,
                .tail = CATALOG_RECORDS,
                .end = CATALOG_RECORDS,
        };
        return 0;
}

/* As it was made or, from version 3 on, grown since. */
static bool is_size_possible(const struct catalog_header *header, uint64_t n_bytes)
{
        if (header->n_bytes < CATALOG_MIN || header->n_bytes > n_bytes)
                return false;
        return header->version < CATALOG_VERSION_GROWN
                       ? header->n_bytes == n_bytes
                       : (n_bytes - header->n_bytes) % CATALOG_MIN == 0;
}

/* Is it a catalog of ours, and of this boot? Fills in the tail. */
static int catalog_look(const struct catalog_file *file, const struct shm *shm,
                        uint32_t *versionp, uint64_t *tailp, char message[256])
{
        struct catalog_header header;
        uint64_t word = atomic_load_explicit(catalog_tail(file), memory_order_acquire);

        memcpy(&header, file->map, sizeof(header));
        *tailp = word >> TAIL_CHECK_BITS;
        *versionp = header.version;
        if (memcmp(header.magic, catalog_magic, sizeof(header.magic)) != 0) {
                snprintf(message, 256, "it does not begin like a catalog");
        } else if (header.version > CATALOG_VERSION) {
                snprintf(message, 256, "its version is %u, newer than this daemon's %u",
                         header.version, CATALOG_VERSION);
        } else if (header.check != XXH3_64bits(&header, offsetof(struct catalog_header, check)) ||
                   header.version == 0 || header.records != CATALOG_RECORDS ||
                   !is_size_possible(&header, file->n_bytes)) {
                snprintf(message, 256, "its header is damaged");
        } else if (catalog_tail_word(*tailp) != word || *tailp < CATALOG_RECORDS ||
                   *tailp > file->n_bytes) {
                snprintf(message, 256, "its tail is damaged");
        } else {
                if (memcmp(header.boot_id, shm->boot_id, sizeof(header.boot_id)) == 0)
                        return 0;
                /* An empty one says nothing that another boot could make false. */
                if (*tailp == CATALOG_RECORDS)
                        return CATALOG_E_ABSENT;
                snprintf(message, 256, "it was written in another boot of the machine (%.36s)",
                         header.boot_id);
        }
        return CATALOG_E_DAMAGED;
}

int catalog_open(struct catalog *catalog, const struct shm *shm, char message[256])
{
        _cleanup_(closep) int fd = -1;
        struct catalog_file *file;
        char name[SHM_NAME_MAX];
        struct stat st;
        uint32_t version;
        uint64_t tail;
        int r;

        shm_name(shm, "catalog", name);
        fd = openat(shm->fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
                if (errno == ENOENT)
                        return CATALOG_E_ABSENT;
                r = -errno;
                snprintf(message, 256, "it cannot be opened: %s", strerror(-r));
                return r == -ELOOP || r == -EACCES || r == -EISDIR ? CATALOG_E_DAMAGED
                                                                   : error_origin(r);
        }
        if (fstat(fd, &st) < 0)
                return error_origin(-errno);
        if (!S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
                snprintf(message, 256, "it is not a file of the daemon's user");
                return CATALOG_E_DAMAGED;
        }
        if (st.st_size < CATALOG_MIN || (uint64_t)st.st_size > CATALOG_MAX ||
            !shm_is_whole(&st, (uint64_t)st.st_size)) {
                snprintf(message, 256, "it was cut, or has holes");
                return CATALOG_E_DAMAGED;
        }
        r = catalog_file_map(&file, &fd, (uint64_t)st.st_size);
        if (r)
                return r;
        r = catalog_look(file, shm, &version, &tail, message);
        if (r) {
                catalog_file_unref(file);
                return r;
        }
        *catalog = (struct catalog){
                .shm = shm, .file = file, .version = version, .tail = tail, .end = tail
        };
        return 0;
}

void catalog_close(struct catalog *catalog)
{
        catalog->file = catalog_file_unref(catalog->file);
}

int catalog_has_room(const struct catalog *catalog, uint64_t n_bytes)
{
        return n_bytes > catalog->file->n_bytes - catalog->end ? CATALOG_E_FULL : 0;
}

static uint64_t growth_in_steps(const struct catalog *catalog, uint64_t n_bytes, uint64_t n_step)
{
        uint64_t n_left = catalog->file->n_bytes - catalog->end;

        return n_left >= n_bytes ? 0 : (n_bytes - n_left + n_step - 1) / n_step * n_step;
}

uint64_t catalog_growth(const struct catalog *catalog, uint64_t n_bytes)
{
        uint64_t n_step = catalog->file->n_bytes / CATALOG_MIN * CATALOG_MIN;

        return growth_in_steps(catalog, n_bytes, n_step < GROWTH_MAX ? n_step : GROWTH_MAX);
}

uint64_t catalog_growth_least(const struct catalog *catalog, uint64_t n_bytes)
{
        return growth_in_steps(catalog, n_bytes, CATALOG_MIN);
}

int catalog_grow(struct catalog *catalog, struct user *user, uint64_t n_more, bool is_beyond)
{
        struct catalog_file *file = catalog->file;

        assert(file->charge.user == user);
        return catalog_file_grow(file, &file->charge, n_more, is_beyond);
}

void catalog_stage(struct catalog *catalog, const struct record *record)
{
        uint32_t n_bytes = record_n_bytes(record);

        assert(n_bytes <= catalog->file->n_bytes - catalog->end);
        record_write(catalog->file->map + catalog->end, catalog->end, record);
        catalog->end += n_bytes;
}

int catalog_publish(struct catalog *catalog)
{
        if (atomic_load(&catalog->file->is_poisoned)) {
                catalog->end = catalog->tail;
                return error_origin(-EIO);
        }
        catalog_file_publish(catalog->file, catalog->end);
        catalog->tail = catalog->end;
        return atomic_load(&catalog->file->is_poisoned) ? error_origin(-EIO) : 0;
}
