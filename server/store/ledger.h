/* SPDX-License-Identifier: MIT */
/*
 * The ledger
 *
 * What is being written in mutable tensors, and what was never finished: it outlives the daemon
 * without a record in the catalog for each write. A mapped object of slots beside the catalog. A
 * slot says how often its tensor was written (STATE), which region is leased to whoever has a nonce
 * (LEASE), or which one is torn (TORN).
 *
 * A slot counts if its word is a check of the rest, with its kind. So it begins to count, becomes
 * of another kind, and ends, by one store each; a kill leaves nothing half said, and what does not
 * agree with its word is damage. The version of a STATE slot has a check of its own.
 *
 * All of it is mapped at once, however far the object reaches by now: slots never move, a worker
 * may mark one while others are made. Loop thread, but for ledger_mark().
 */
#pragma once

#include <stdatomic.h>

#include "base/quota.h"
#include "store/shm.h"
#include "tensor/desc.h"

#define LEDGER_MIN 4096
#define LEDGER_MAX (64 * 1024 * 1024)
#define LEDGER_SLOT_BYTES 320
#define LEDGER_SLOTS (LEDGER_MAX / LEDGER_SLOT_BYTES - 1)
#define LEDGER_CHARGES 16                   /* it doubles at most so often */
#define LEDGER_VERSIONS (UINT64_C(1) << 47) /* versions are below */

enum ledger_kind { LEDGER_FREE, LEDGER_STATE, LEDGER_LEASE, LEDGER_TORN };

enum { LEDGER_E_ABSENT = 1, LEDGER_E_DAMAGED, LEDGER_E_FULL, LEDGER_E_LIMIT };

/* What a slot says. */
struct ledger_entry {
        uint8_t tensor_id[16];
        uint8_t nonce[16];  /* LEASE */
        struct desc region; /* LEASE, TORN */
};

struct ledger {
        const struct shm *shm;
        char name[SHM_NAME_MAX]; /* until it has the ledger's; then empty */
        uint8_t *map;            /* NULL: closed; then nothing below does anything */
        uint64_t n_bytes;        /* of the object */
        int fd;
        int guard;
        atomic_bool is_poisoned;
        uint32_t *free; /* owned: slots that nobody uses */
        uint32_t n_free;
        unsigned n_charges;
        struct charge charges[LEDGER_CHARGES];
};

/*
 * Map the one that is there; its bytes are charged to the user, whatever the limit. 0,
 * LEDGER_E_ABSENT, LEDGER_E_DAMAGED (not all that it says is to be believed: none is) or negative
 * errno.
 */
int ledger_open(struct ledger *ledger, const struct shm *shm, struct user *user);
/* Make an empty one, beside the one that may be there. 0, LEDGER_E_FULL or negative errno. */
int ledger_create(struct ledger *ledger, const struct shm *shm, struct user *user);
/* It takes the place of the other. */
int ledger_install(struct ledger *ledger);
/* Unmap; the object stays, if it was installed or opened. */
void ledger_close(struct ledger *ledger);

/* Is there a slot for ledger_take()? */
bool ledger_has_free(const struct ledger *ledger);
/* Twice as many. 0, LEDGER_E_LIMIT, LEDGER_E_FULL or negative errno. */
int ledger_grow(struct ledger *ledger, struct user *user);

/*
 * A free slot now says this, and does not count before ledger_mark(). Slots are numbered from 1;
 * the functions below ignore 0. Of a STATE slot region and nonce are not looked at.
 */
uint32_t ledger_take(struct ledger *ledger, const struct ledger_entry *entry);
/* From now on it counts, as that. */
void ledger_mark(struct ledger *ledger, uint32_t slot, enum ledger_kind kind);
/* It does not count any more, and may be taken. */
void ledger_give(struct ledger *ledger, uint32_t slot);
/* Of a STATE slot: so many writes ended, and all of the tensor is torn, or not. */
void ledger_set_state(struct ledger *ledger, uint32_t slot, uint64_t version, bool is_torn);
void ledger_state(const struct ledger *ledger, uint32_t slot, uint64_t *versionp, bool *is_tornp);

/* Visit every slot that counts; ledger_give() of it may be called. */
int ledger_walk(struct ledger *ledger,
                int (*visit)(void *ctx, uint32_t slot, enum ledger_kind kind,
                             const struct ledger_entry *entry),
                void *ctx);
