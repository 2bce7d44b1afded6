/* SPDX-License-Identifier: MIT */
#include "store/spill.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/once.h"
#include "store/spill_owner.h"
#include "store/state.h"

/* ---- jobs ---- */

void spill_job_run(struct spill_job *job)
{
        struct store *store = job->store;
        const atomic_bool *stop = &store->spill.is_stopping;
        int r = 0;

        switch (job->kind) {
        case SPILL_OUT:
                /* Where one of them failed the others need not try. */
                if (atomic_load(&store->spill.has_failed) || atomic_load(stop)) {
                        job->result = SPILL_E_STOPPED;
                        return;
                }
                if (job->is_owning)
                        r = spill_owner_write(&store->spill.dir, &store->shm);
                job->is_owning = job->is_owning && r;
                job->result = r ? r
                                : spill_write(&store->spill.dir, job->segment, &job->desc,
                                              &job->place, stop);
                if (job->result < 0 || job->result == SPILL_E_FULL)
                        atomic_store(&store->spill.has_failed, true);
                return;
        case SPILL_BACK:
                if (!job->is_ready && (r = segment_allocate(job->segment)) == STORE_E_FULL)
                        r = SPILL_E_FULL;
                if (!r)
                        r = segment_pin(job->segment);
                job->is_pinned = !r;
                if (!r)
                        r = spill_read(&store->spill.dir, &job->place, &job->desc, job->segment,
                                       stop);
                job->result = r;
                return;
        case SPILL_REMOVE:
                job->result = spill_remove(&store->spill.dir, job->place.random);
                return;
        }
}

static void spill_job_submit(struct store *store, struct spill_job *job)
{
        if (store->config.disk) {
                store->config.disk(store->config.ctx, job);
        } else {
                spill_job_run(job);
                spill_job_done(job);
        }
}

static struct spill_job *spill_job_new(struct store *store, int kind, struct user *user)
{
        struct spill_job *job = calloc(1, sizeof(*job));

        if (job) {
                job->kind = kind;
                job->store = store;
                job->user = user_ref(user);
                list_init(&job->link);
        }
        return job;
}

static void spill_job_free(struct spill_job *job)
{
        if (job->is_pinned)
                segment_unpin(job->segment);
        segment_unref(job->segment);
        tensor_unref(job->tensor);
        charge_drop(&job->charge);
        job->store->spill.n_record_bytes -= job->n_record_bytes;
        user_unref(job->user);
        free(job);
}

/* The next that is written: another user's than the last, if there is one. */
static void spill_write_next(struct store *store)
{
        struct spill *spill = &store->spill;
        struct spill_job *job = list_first(&spill->waiting, struct spill_job, link), *other;

        if (!job || spill->is_writing)
                return;
        list_for_each (other, &spill->waiting, link)
                if (other->user != spill->writer) {
                        job = other;
                        break;
                }
        list_unlink(&job->link);
        spill->is_writing = true;
        spill->writer = job->user;
        job->is_owning = !spill->is_ours;
        spill_job_submit(store, job);
}

/* What is waited for next, where it was so long last (0: not yet). */
static uint64_t spill_longer(uint64_t last_ms, uint64_t first_ms, uint64_t most_ms)
{
        if (last_ms == 0)
                return first_ms;
        return 2 * last_ms < most_ms ? 2 * last_ms : most_ms;
}

/* The file goes, and then its charge, which is taken over. One that stays is tried again. */
static void spill_remove_file(struct store *store, const struct spill_place *place,
                              struct charge *charge)
{
        struct spill_job *job = spill_job_new(store, SPILL_REMOVE, charge->user);

        if (!job) { /* no memory: now, or else by the next start */
                spill_remove(&store->spill.dir, place->random);
                charge_drop(charge);
                return;
        }
        job->place = *place;
        charge_move(&job->charge, charge);
        spill_job_submit(store, job);
}

static void spill_remove_done(struct spill_job *job)
{
        struct spill *spill = &job->store->spill;
        uint64_t now_ms = clock_now_ms();

        if (!job->result) {
                spill->remove_wait_ms = 0;
                spill_job_free(job);
                return;
        }
        once_log(LOG_LEVEL_WARNING, ONCE_REMOVE, job->user->uid,
                 "a file in the spill directory could not be removed: %s", strerror(-job->result));
        list_push_back(&spill->unremoved, &job->link);
        if (now_ms >= spill->remove_ms) { /* the first of those that were tried together */
                spill->remove_wait_ms = spill_longer(spill->remove_wait_ms, SPILL_REMOVE_MS,
                                                     SPILL_REMOVE_MAX_MS);
                spill->remove_ms = now_ms + spill->remove_wait_ms;
        }
}

bool spill_has_unremoved(const struct store *store)
{
        return !list_is_empty(&store->spill.unremoved);
}

void spill_retry_removing(struct store *store)
{
        struct spill_job *jobs[RETRY_MAX], *job;
        unsigned n = 0;

        if (clock_now_ms() < store->spill.remove_ms)
                return;
        while (n < RETRY_MAX &&
               (job = list_first(&store->spill.unremoved, struct spill_job, link))) {
                list_unlink(&job->link);
                jobs[n++] = job;
        }
        for (unsigned i = 0; i < n; i++)
                spill_job_submit(store, jobs[i]);
}

void spill_forget_unremoved(struct store *store)
{
        struct spill_job *job;

        while ((job = list_first(&store->spill.unremoved, struct spill_job, link))) {
                list_unlink(&job->link);
                spill_job_free(job);
        }
}

/* ---- out ---- */

/* Nobody uses it but its name and a job of ours, whose the other references are, and who rests. */
static bool spill_is_cold(const struct spill_job *job)
{
        const struct tensor *tensor = job->tensor;
        struct segment *segment = job->segment;

        if (tensor->n_refs != 2 + tensor->n_resting || !tensor->name ||
            tensor->segment != segment || segment->n_refs != 2 || segment->n_grants > 0 ||
            segment_is_poisoned(segment))
                return false;
        /* Handed out meanwhile: does anybody still have it whom no connection explains? */
        return segment->n_handed == 0 || segment_test(segment) == 0;
}

bool tensor_is_spillable(const struct tensor *tensor)
{
        return tensor->store->spill.dir.fd >= 0 && tensor->state == TENSOR_SEALED &&
               tensor_n_bytes(tensor) >= SPILL_MIN_BYTES;
}

uint64_t spill_ready_in_ms(const struct store *store, uint64_t now_ms)
{
        const struct spill *spill = &store->spill;

        if (spill->dir.fd < 0 || atomic_load(&spill->is_stopping))
                return UINT64_MAX;
        return now_ms < spill->retry_ms ? spill->retry_ms - now_ms : 0;
}

void spill_back_off(struct store *store, const struct user *user, const char *why)
{
        struct spill *spill = &store->spill;

        once_log(LOG_LEVEL_WARNING, ONCE_SPILL, user->uid,
                 "a tensor could not be written to the spill directory: %s", why);
        atomic_store(&spill->has_failed, true);
        if (clock_now_ms() < spill->retry_ms) /* another of them failed, too */
                return;
        spill->wait_ms = spill_longer(spill->wait_ms, SPILL_RETRY_MS, SPILL_RETRY_MAX_MS);
        spill->retry_ms = clock_now_ms() + spill->wait_ms;
}

bool spill_has_share(struct user *user, uint64_t n_bytes)
{
        struct users *users = user->users;
        struct charge_refusal refusal = users->refusal;
        int r = user_may_take(user, RESOURCE_SPILLED, TD_HEADER_BYTES + n_bytes);

        /* That there is no share of the disk left is not what the user asked for. */
        users->refusal = refusal;
        return r == 0;
}

/* Room in the catalog to say that it went, and that it came back, beside all that is under way. */
static int spill_make_room(struct store *store, struct tensor *tensor, uint64_t *n_bytesp)
{
        *n_bytesp = 2 * (uint64_t)name_again_bytes(tensor->name);
        return catalog_lend_room(store, store->spill.n_record_bytes + *n_bytesp);
}

bool spill_begin(struct store *store, struct tensor *tensor)
{
        struct spill_job *job = spill_job_new(store, SPILL_OUT, tensor->user);
        uint64_t n_record_bytes;

        assert(tensor_is_spillable(tensor) && tensor->n_refs == 1 + tensor->n_resting &&
               tensor->segment);
        if (!job)
                return false;
        if (segment_is_poisoned(tensor->segment) ||
            !spill_has_share(tensor->user, tensor_n_bytes(tensor)) ||
            store_random(store, job->place.random) ||
            spill_make_room(store, tensor, &n_record_bytes)) {
                spill_job_free(job);
                return false;
        }
        job->n_record_bytes = n_record_bytes;
        store->spill.n_record_bytes += n_record_bytes;
        charge_adopt(&job->charge, tensor->user, RESOURCE_SPILLED,
                     TD_HEADER_BYTES + tensor_n_bytes(tensor));
        job->desc = tensor->desc;
        job->tensor = tensor_ref(tensor);
        job->segment = segment_ref(tensor->segment);
        if (store->spill.n_out++ == 0)
                atomic_store(&store->spill.has_failed, false);
        store_expect(store, tensor->user, job->segment->file_bytes);
        list_push_back(&store->spill.waiting, &job->link);
        spill_write_next(store);
        return true;
}

struct spilled *spilled_new(void)
{
        struct spilled *spilled = calloc(1, sizeof(*spilled));

        if (spilled)
                list_init(&spilled->waits);
        return spilled;
}

struct spilled *spilled_free(struct spilled *spilled)
{
        if (spilled) {
                assert(list_is_empty(&spilled->waits) && !spilled->back);
                charge_drop(&spilled->charge);
                free(spilled);
        }
        return NULL;
}

/* The file counts from now on, and the segment has served. */
static int spill_commit(struct store *store, struct spill_job *job)
{
        struct tensor *tensor = job->tensor;
        struct spilled *spilled = spilled_new();
        int r;

        if (!spilled)
                return -ENOMEM;
        spilled->place = job->place;
        tensor->spilled = spilled;
        r = name_say_again(store, tensor->name);
        if (r) {
                tensor->spilled = spilled_free(spilled);
                return r;
        }
        charge_move(&spilled->charge, &job->charge);
        segment_unref(steal_ptr(&tensor->segment));
        return 0;
}

static void spill_out_done(struct spill_job *job)
{
        struct store *store = job->store;
        struct user *user = user_ref(job->user);
        uint64_t n_bytes = job->segment->file_bytes;
        bool is_cold = !job->result && spill_is_cold(job); /* this job's and its name's alone */
        int r = job->result, e = is_cold ? spill_commit(store, job) : 0;

        store->spill.is_ours = !job->is_owning;
        if (r == SPILL_E_DAMAGED)
                atomic_store(&job->segment->is_poisoned, true);
        if (r == SPILL_E_FULL || r < 0)
                spill_back_off(store, user, r < 0 ? strerror(-r) : "the file system is full");
        else if (e)
                spill_back_off(store, user, e < 0 ? strerror(-e) : "the catalog has no room");
        else if (is_cold)
                store->spill.wait_ms = 0;
        if (!is_cold || e)
                spill_remove_file(store, &job->place, &job->charge);
        store->spill.n_out--;
        store->spill.is_writing = false;
        store->spill.ended_ms = clock_now_ms();
        spill_job_free(job);
        store_expect_no_more(store, user, n_bytes);
        user_unref(user);
        spill_write_next(store);
}

/* ---- back ---- */

bool tensor_is_spilled(const struct tensor *tensor)
{
        return tensor->spilled;
}

bool tensor_is_lost(const struct tensor *tensor)
{
        return tensor->spilled && tensor->spilled->is_lost;
}

bool tensor_wants_fetch(const struct tensor *tensor)
{
        return tensor->spilled && !tensor->spilled->back && !tensor->spilled->is_returning;
}

int store_fetch_prepare(struct store *store, struct tensor *tensor, struct segment *owned,
                        bool is_ready)
{
        _cleanup_(segment_unrefp) struct segment *segment = owned;
        struct spilled *spilled = tensor->spilled;
        struct spill_job *job;
        uint64_t n_record_bytes = 0;
        int r = 0;

        assert(tensor_wants_fetch(tensor) && !spilled->is_lost);
        if (tensor->name) {
                n_record_bytes = name_again_bytes(tensor->name);
                r = catalog_await_room(store, store->n_prepaid_bytes + store->spill.n_record_bytes +
                                                      n_record_bytes);
        }
        if (r)
                return r;
        job = spill_job_new(store, SPILL_BACK, tensor->user);
        if (!job)
                return -ENOMEM;
        job->n_record_bytes = n_record_bytes;
        store->spill.n_record_bytes += n_record_bytes;
        job->tensor = tensor_ref(tensor);
        job->segment = steal_ptr(&segment);
        job->is_ready = is_ready;
        job->desc = tensor->desc;
        job->place = spilled->place;
        spilled->back = job;
        return 0;
}

void store_fetch_begin(struct store *store, struct tensor *tensor)
{
        struct spilled *spilled = tensor->spilled;

        spilled->is_returning = true;
        spill_job_submit(store, steal_ptr(&spilled->back));
}

void store_fetch_drop(struct tensor *tensor)
{
        if (tensor->spilled && tensor->spilled->back)
                spill_job_free(steal_ptr(&tensor->spilled->back));
}

struct spilled *spill_give_up(struct store *store, struct spilled *spilled)
{
        if (spilled && spilled->charge.user)
                spill_remove_file(store, &spilled->place, &spilled->charge);
        return spilled_free(spilled);
}

void spill_drop(struct tensor *tensor)
{
        tensor->spilled = spill_give_up(tensor->store, tensor->spilled);
}

/*
 * The file is not what was written: whoever asks for the name is told so from now on. It stays
 * where it is, the name's, as long as that is lost: another start may find it mended. STORE_E_LOST;
 * -ENOMEM: the next one who wants it will find out.
 */
static int spill_lose(struct store *store, struct tensor *tensor, enum loss_reason reason)
{
        const bool has_file = reason != LOSS_FILE_MISSING;
        _cleanup_(freep) struct loss *loss = NULL;
        struct spilled *spilled = tensor->spilled;
        struct name *name = tensor->name;

        if (!name) {
                spilled->is_lost = true;
                return STORE_E_LOST;
        }
        loss = loss_new(reason, &tensor->desc.type, NULL);
        if (loss && has_file)
                loss->left = spilled_new();
        if (!loss || (has_file && !loss->left))
                return -ENOMEM;
        if (has_file) {
                loss->left->place = spilled->place;
                charge_move(&loss->left->charge, &spilled->charge);
        }
        charge_drop(&spilled->charge);
        spilled->is_lost = true;
        name_lose(store, name, steal_ptr(&loss));
        return STORE_E_LOST;
}

/* It lies in memory from now on, as the catalog says; tensor->spilled is NULL then, and not freed.
 */
static int spill_restore(struct store *store, struct spill_job *job)
{
        struct tensor *tensor = job->tensor;
        struct spilled *spilled = steal_ptr(&tensor->spilled);
        int r;

        r = tensor_publish(tensor, job->segment);
        if (!r) {
                tensor->segment = job->segment;
                if (tensor->name)
                        r = name_say_again(store, tensor->name);
        }
        if (r) {
                tensor->segment = NULL;
                tensor->spilled = spilled;
                return r;
        }
        segment_unpin(job->segment);
        job->is_pinned = false;
        job->segment = NULL;
        tensor->segment->is_sealed = true;
        spill_remove_file(store, &spilled->place, &spilled->charge);
        return 0;
}

static void spill_back_done(struct spill_job *job)
{
        struct store *store = job->store;
        struct tensor *tensor = job->tensor;
        struct spilled *spilled = tensor->spilled;
        int r = job->result;

        spilled->is_returning = false;
        if (!r) {
                r = spill_restore(store, job);
        } else if (r == SPILL_E_FULL) {
                r = STORE_E_FULL;
        } else if (r == SPILL_E_DAMAGED || r == SPILL_E_MISSING) {
                r = spill_lose(store, tensor,
                               r == SPILL_E_MISSING ? LOSS_FILE_MISSING : LOSS_FILE_DAMAGED);
        } else if (r == SPILL_E_POISONED) {
                atomic_store(&job->segment->is_poisoned, true);
                r = STORE_E_POISONED;
        } else if (r == SPILL_E_STOPPED) {
                r = -ECANCELED;
        } else {
                once_log(LOG_LEVEL_WARNING, ONCE_SPILL, tensor->user->uid,
                         "a tensor could not be read from the spill directory: %s", strerror(-r));
        }
        if (store->config.fetched)
                store->config.fetched(store->config.ctx, tensor, &spilled->waits, r);
        if (!tensor->spilled)
                spilled_free(spilled);
        spill_job_free(job);
}

void spill_job_done(struct spill_job *job)
{
        if (job->kind == SPILL_OUT)
                spill_out_done(job);
        else if (job->kind == SPILL_BACK)
                spill_back_done(job);
        else
                spill_remove_done(job);
}

/* ---- all of them ---- */

uint64_t store_spilling_ms(const struct store *store)
{
        return store->spill.n_out > 0 ? clock_now_ms() : store->spill.ended_ms;
}

void store_stop_spilling(struct store *store)
{
        atomic_store(&store->spill.is_stopping, true);
}
