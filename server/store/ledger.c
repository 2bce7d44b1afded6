/* SPDX-License-Identifier: MIT */
#include "store/ledger.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "store/guard.h"

#define LEDGER_VERSION 1
#define KIND_MASK UINT64_C(3)
#define STATE_CHECK_BITS 16
#define STATE_TORN (UINT64_C(1) << STATE_CHECK_BITS)
#define STATE_VERSION_SHIFT (STATE_CHECK_BITS + 1)

/* The first one is the header: a word of its own, and nothing else. */
struct slot {
        _Atomic uint64_t word;  /* check of what follows state, and the kind; 0: free */
        _Atomic uint64_t state; /* STATE: version, torn, and their check */
        uint8_t tensor_id[16];
        uint8_t nonce[16];
        int64_t offset;
        uint8_t dtype;
        uint8_t ndim;
        uint8_t zero[6];
        int64_t shape[TD_NDIM_MAX];
        int64_t strides[TD_NDIM_MAX];
};

static_assert(sizeof(struct slot) == 64 + 2 * TD_NDIM_MAX * sizeof(int64_t), "no padding");
static_assert(sizeof(struct slot) == LEDGER_SLOT_BYTES, "as ledger.h says");
static_assert(LEDGER_MIN / sizeof(struct slot) > 2, "the smallest ledger has slots");
static_assert(LEDGER_MIN << LEDGER_CHARGES >= LEDGER_MAX, "each doubling has its charge");
static_assert(LEDGER_TORN <= KIND_MASK, "a kind fits");
static_assert(LEDGER_VERSIONS == UINT64_C(1) << (64 - STATE_VERSION_SHIFT), "a version fits");

static struct slot *slot_at(const struct ledger *ledger, uint32_t slot)
{
        return (struct slot *)(void *)(ledger->map + (size_t)slot * sizeof(struct slot));
}

static uint32_t n_slots(uint64_t n_bytes)
{
        return (uint32_t)(n_bytes / sizeof(struct slot));
}

static uint64_t slot_check(const struct slot *slot)
{
        const size_t from = offsetof(struct slot, tensor_id);

        return XXH3_64bits((const char *)slot + from, sizeof(*slot) - from) & ~KIND_MASK;
}

static uint64_t header_word(void)
{
        static const char magic[] = "tensord ledger";

        return XXH3_64bits_withSeed(magic, sizeof(magic), LEDGER_VERSION);
}

static uint64_t state_word(uint64_t version, bool is_torn)
{
        uint64_t said = version << STATE_VERSION_SHIFT | (is_torn ? STATE_TORN : 0);

        assert(version < LEDGER_VERSIONS);
        return said | (XXH3_64bits(&said, sizeof(said)) & (STATE_TORN - 1));
}

static bool state_is_whole(uint64_t word)
{
        return state_word(word >> STATE_VERSION_SHIFT, word & STATE_TORN) == word;
}

/* ---- the object ---- */

/* Room to note the slots from first on as free, when they are. */
static int ledger_make_room(struct ledger *ledger, uint64_t n_bytes)
{
        uint32_t *slots = reallocarray(ledger->free, n_slots(n_bytes), sizeof(*slots));

        if (!slots)
                return -ENOMEM;
        ledger->free = slots;
        return 0;
}

static int ledger_map(struct ledger *ledger, const struct shm *shm, int *fdp, uint64_t n_bytes)
{
        void *map;

        *ledger = (struct ledger){ .shm = shm, .fd = -1 };
        if (ledger_make_room(ledger, n_bytes))
                return -ENOMEM;
        map = mmap(NULL, LEDGER_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, *fdp, 0);
        if (map == MAP_FAILED) {
                free(ledger->free);
                return error_origin(-errno);
        }
        ledger->guard = guard_insert(map, LEDGER_MAX, &ledger->is_poisoned);
        if (ledger->guard < 0) {
                munmap(map, LEDGER_MAX);
                free(ledger->free);
                return error_origin(ledger->guard);
        }
        ledger->map = map;
        ledger->n_bytes = n_bytes;
        ledger->fd = steal_fd(fdp);
        return 0;
}

void ledger_close(struct ledger *ledger)
{
        if (!ledger->map)
                return;
        guard_remove(ledger->guard);
        shm_remove(ledger->shm, ledger->name);
        munmap(ledger->map, LEDGER_MAX);
        close(ledger->fd);
        free(ledger->free);
        for (unsigned i = 0; i < ledger->n_charges; i++)
                charge_drop(&ledger->charges[i]);
        *ledger = (struct ledger){ .fd = -1 };
}

/* false: some of it is not as it was written. Slots that do not count are noted as free. */
static bool ledger_look(struct ledger *ledger)
{
        if (slot_at(ledger, 0)->word != header_word())
                return false;
        for (uint32_t i = n_slots(ledger->n_bytes) - 1; i > 0; i--) {
                const struct slot *slot = slot_at(ledger, i);
                uint64_t word = slot->word;

                if (word == 0) {
                        ledger->free[ledger->n_free++] = i;
                        continue;
                }
                if ((word & KIND_MASK) == LEDGER_FREE || (word & ~KIND_MASK) != slot_check(slot) ||
                    slot->ndim > TD_NDIM_MAX || slot->dtype >= TD_N_DTYPES ||
                    ((word & KIND_MASK) == LEDGER_STATE && !state_is_whole(slot->state)))
                        return false;
        }
        return !atomic_load(&ledger->is_poisoned);
}

int ledger_open(struct ledger *ledger, const struct shm *shm, struct user *user)
{
        _cleanup_(closep) int fd = -1;
        char name[SHM_NAME_MAX];
        struct stat st;
        int r;

        shm_name(shm, "ledger", name);
        fd = openat(shm->fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT                     ? LEDGER_E_ABSENT
                       : errno == ELOOP || errno == EACCES ? LEDGER_E_DAMAGED
                                                           : error_origin(-errno);
        if (fstat(fd, &st) < 0)
                return error_origin(-errno);
        if (st.st_size < LEDGER_MIN || st.st_size > LEDGER_MAX || st.st_size % LEDGER_MIN ||
            !shm_is_whole(&st, (uint64_t)st.st_size))
                return LEDGER_E_DAMAGED;
        r = ledger_map(ledger, shm, &fd, (uint64_t)st.st_size);
        if (r)
                return r;
        charge_adopt(&ledger->charges[ledger->n_charges++], user, RESOURCE_BYTES, ledger->n_bytes);
        if (ledger_look(ledger))
                return 0;
        ledger_close(ledger);
        return LEDGER_E_DAMAGED;
}

int ledger_create(struct ledger *ledger, const struct shm *shm, struct user *user)
{
        _cleanup_(closep) int fd = -1;
        char name[SHM_NAME_MAX];
        int r;

        r = shm_create_new(shm, LEDGER_MIN, name, &fd);
        if (r)
                return r == SHM_E_FULL ? LEDGER_E_FULL : r;
        r = ledger_map(ledger, shm, &fd, LEDGER_MIN);
        if (r) {
                shm_remove(shm, name);
                return r;
        }
        memcpy(ledger->name, name, sizeof(name));
        charge_adopt(&ledger->charges[ledger->n_charges++], user, RESOURCE_BYTES, LEDGER_MIN);
        slot_at(ledger, 0)->word = header_word();
        for (uint32_t i = n_slots(LEDGER_MIN) - 1; i > 0; i--)
                ledger->free[ledger->n_free++] = i;
        return 0;
}

int ledger_install(struct ledger *ledger)
{
        return shm_install(ledger->shm, ledger->name, "ledger");
}

bool ledger_has_free(const struct ledger *ledger)
{
        return ledger->n_free > 0;
}

int ledger_grow(struct ledger *ledger, struct user *user)
{
        uint64_t n_before = ledger->n_bytes, n_bytes = 2 * n_before;
        struct charge *charge = &ledger->charges[ledger->n_charges];
        int r;

        if (atomic_load(&ledger->is_poisoned))
                return error_origin(-EIO);
        if (n_bytes > LEDGER_MAX || ledger->n_charges == LEDGER_CHARGES)
                return LEDGER_E_LIMIT;
        if (ledger_make_room(ledger, n_bytes))
                return -ENOMEM;
        if (charge_take_for_all(charge, user, RESOURCE_BYTES, n_bytes - n_before))
                return LEDGER_E_LIMIT;
        r = shm_grow(ledger->fd, n_before, n_bytes);
        if (r) {
                charge_drop(charge);
                return r == SHM_E_FULL ? LEDGER_E_FULL : r;
        }
        ledger->n_charges++;
        ledger->n_bytes = n_bytes;
        for (uint32_t i = n_slots(n_bytes) - 1; i >= n_slots(n_before); i--)
                ledger->free[ledger->n_free++] = i;
        return 0;
}

/* ---- slots ---- */

uint32_t ledger_take(struct ledger *ledger, const struct ledger_entry *entry)
{
        const struct desc *region = &entry->region;
        struct slot said = { .offset = region->offset,
                             .dtype = region->type.dtype,
                             .ndim = region->type.ndim };
        const size_t from = offsetof(struct slot, tensor_id);
        uint32_t slot;

        if (!ledger->map)
                return 0;
        assert(ledger->n_free > 0);
        slot = ledger->free[--ledger->n_free];
        memcpy(said.tensor_id, entry->tensor_id, sizeof(said.tensor_id));
        memcpy(said.nonce, entry->nonce, sizeof(said.nonce));
        memcpy(said.shape, region->type.shape, region->type.ndim * sizeof(int64_t));
        memcpy(said.strides, region->strides, region->type.ndim * sizeof(int64_t));
        memcpy((char *)slot_at(ledger, slot) + from, (char *)&said + from, sizeof(said) - from);
        return slot;
}

void ledger_mark(struct ledger *ledger, uint32_t number, enum ledger_kind kind)
{
        struct slot *slot;

        if (!ledger->map || !number)
                return;
        slot = slot_at(ledger, number);
        atomic_store_explicit(&slot->word, slot_check(slot) | kind, memory_order_release);
        /* Whatever is written under it comes behind. */
        atomic_thread_fence(memory_order_seq_cst);
}

void ledger_give(struct ledger *ledger, uint32_t number)
{
        if (!ledger->map || !number)
                return;
        atomic_store_explicit(&slot_at(ledger, number)->word, 0, memory_order_release);
        atomic_signal_fence(memory_order_seq_cst);
        ledger->free[ledger->n_free++] = number;
}

void ledger_set_state(struct ledger *ledger, uint32_t number, uint64_t version, bool is_torn)
{
        if (ledger->map && number)
                atomic_store_explicit(&slot_at(ledger, number)->state, state_word(version, is_torn),
                                      memory_order_release);
}

void ledger_state(const struct ledger *ledger, uint32_t number, uint64_t *versionp, bool *is_tornp)
{
        uint64_t word = slot_at(ledger, number)->state;

        *versionp = word >> STATE_VERSION_SHIFT;
        *is_tornp = word & STATE_TORN;
}

int ledger_walk(struct ledger *ledger,
                int (*visit)(void *ctx, uint32_t slot, enum ledger_kind kind,
                             const struct ledger_entry *entry),
                void *ctx)
{
        int r = 0;

        for (uint32_t i = 1; i < n_slots(ledger->n_bytes) && !r; i++) {
                const struct slot *slot = slot_at(ledger, i);
                struct ledger_entry entry = { 0 };

                if (slot->word == 0)
                        continue;
                memcpy(entry.tensor_id, slot->tensor_id, sizeof(entry.tensor_id));
                memcpy(entry.nonce, slot->nonce, sizeof(entry.nonce));
                entry.region.offset = slot->offset;
                entry.region.type.dtype = slot->dtype;
                entry.region.type.ndim = slot->ndim;
                memcpy(entry.region.type.shape, slot->shape, sizeof(slot->shape));
                memcpy(entry.region.strides, slot->strides, sizeof(slot->strides));
                r = visit(ctx, i, (enum ledger_kind)(slot->word & KIND_MASK), &entry);
        }
        return r;
}
