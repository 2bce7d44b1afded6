/* SPDX-License-Identifier: MIT */
/*
 * SIGBUS guard
 *
 * A slot's sequence word says what it is (its low two bits) and counts its lives above them. The
 * handler reads it before and after the fields: a slot that was taken over in between belongs to
 * someone else's mapping, and no fault of a pinned mapping can be meant for it.
 *
 * Slots are searched from a hint downwards from which all are taken, so the handler's walk stays as
 * short as the table was ever full.
 */
#include "store/guard.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

/* The kernel's own bound on mappings of a process (vm.max_map_count) is 65,530 unless raised. */
#define GUARD_SLOTS 65536

enum { SLOT_FREE, SLOT_CLAIMED, SLOT_LIVE, SLOT_KIND = 3, SLOT_LIFE = 4 };

struct guard_slot {
        atomic_uint sequence;
        _Atomic uintptr_t begin;
        _Atomic size_t n_bytes;
        _Atomic(atomic_bool *) poisonedp;
};

static struct guard_slot guard_slots[GUARD_SLOTS];
static atomic_int guard_high; /* slots in use lie below */
static atomic_int guard_hint; /* slots below are most likely taken */

/*
 * The system call itself, and nothing of a library within a handler. Other threads may read there
 * at this moment: the kernel gives each of them zeros or, again, a fault.
 */
static bool guard_put_zeros(void *begin, size_t n_bytes)
{
        return syscall(SYS_mmap, begin, n_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0L) != -1;
}

static bool guard_absorb(uintptr_t address)
{
        int high = atomic_load_explicit(&guard_high, memory_order_acquire);

        for (int i = 0; i < high; i++) {
                struct guard_slot *slot = &guard_slots[i];
                unsigned sequence = atomic_load_explicit(&slot->sequence, memory_order_acquire);
                uintptr_t begin = atomic_load_explicit(&slot->begin, memory_order_acquire);
                size_t n_bytes = atomic_load_explicit(&slot->n_bytes, memory_order_acquire);
                atomic_bool *poisonedp = atomic_load_explicit(&slot->poisonedp,
                                                              memory_order_acquire);

                if ((sequence & SLOT_KIND) != SLOT_LIVE || address < begin ||
                    address - begin >= n_bytes ||
                    atomic_load_explicit(&slot->sequence, memory_order_relaxed) != sequence)
                        continue;
                /* The mark first: whoever sees zeros must be able to see why. */
                atomic_store(poisonedp, true);
                return guard_put_zeros((void *)begin, n_bytes);
        }
        return false;
}

static void guard_handle(int signal_number, siginfo_t *info, void *context)
{
        int saved = errno;

        (void)context;
        if (info->si_code != BUS_ADRERR || !guard_absorb((uintptr_t)info->si_addr)) {
                /* Not ours: die of it as if nobody had caught it. */
                signal(signal_number, SIG_DFL);
                raise(signal_number);
        }
        errno = saved;
}

int guard_init(void)
{
        struct sigaction action;

        memset(&action, 0, sizeof(action));
        action.sa_sigaction = guard_handle;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
        sigfillset(&action.sa_mask);
        if (sigaction(SIGBUS, &action, NULL) < 0)
                return error_origin(-errno);
        return 0;
}

int guard_insert(void *address, size_t n_bytes, atomic_bool *poisonedp)
{
        int start = atomic_load_explicit(&guard_hint, memory_order_relaxed);

        for (int n = 0; n < GUARD_SLOTS; n++) {
                int i = (start + n) % GUARD_SLOTS;
                struct guard_slot *slot = &guard_slots[i];
                unsigned sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed);
                int high;

                if ((sequence & SLOT_KIND) != SLOT_FREE ||
                    !atomic_compare_exchange_strong(&slot->sequence, &sequence,
                                                    sequence + SLOT_CLAIMED))
                        continue;
                /* Whoever sees one of these sees that the slot was claimed, too. */
                atomic_store_explicit(&slot->begin, (uintptr_t)address, memory_order_release);
                atomic_store_explicit(&slot->n_bytes, n_bytes, memory_order_release);
                atomic_store_explicit(&slot->poisonedp, poisonedp, memory_order_release);
                atomic_store_explicit(&slot->sequence, sequence + SLOT_LIVE, memory_order_release);
                atomic_store_explicit(&guard_hint, (i + 1) % GUARD_SLOTS, memory_order_relaxed);
                high = atomic_load(&guard_high);
                while (high <= i && !atomic_compare_exchange_weak(&guard_high, &high, i + 1))
                        ;
                return i;
        }
        return -ENOMEM;
}

void guard_remove(int slot)
{
        unsigned sequence = atomic_load_explicit(&guard_slots[slot].sequence, memory_order_relaxed);

        atomic_store_explicit(&guard_slots[slot].sequence, sequence - SLOT_LIVE + SLOT_LIFE,
                              memory_order_release);
        if (slot < atomic_load_explicit(&guard_hint, memory_order_relaxed))
                atomic_store_explicit(&guard_hint, slot, memory_order_relaxed);
}
