/* SPDX-License-Identifier: MIT */
/*
 * Naming
 *
 * The one place where names change their meaning, and where the catalog is told before anyone else.
 * All that can fail comes first: memory, room in the catalog; then the records are published by one
 * store; then the tables follow.
 *
 * Loop thread only, but for store_compaction_copy().
 */
#include "store/state.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/once.h"
#include "store/unused.h"

struct reservation {
        struct store *store;
        struct name *name;
};

/* ---- looking up ---- */

int store_find(struct store *store, uid_t uid, const char *name, struct tensor **tensorp)
{
        struct name *entry = names_find(&store->names, uid, name, strlen(name));

        if (!entry || (!entry->tensor && !entry->loss))
                return STORE_E_NOT_FOUND;
        if (!entry->tensor)
                return STORE_E_LOST;
        *tensorp = entry->tensor;
        return 0;
}

int store_find_shared(struct store *store, uid_t owner, const char *name, struct tensor **tensorp)
{
        struct name *entry = names_find(&store->shown, owner, name, strlen(name));

        if (!entry)
                return STORE_E_NOT_FOUND;
        *tensorp = entry->tensor;
        return 0;
}

static uint32_t names_list(const struct names *names, uid_t uid, const char *prefix,
                           const char *after, bool with_lost, struct listed *rows, uint32_t max,
                           bool *morep)
{
        const char *from = after && strcmp(after, prefix) > 0 ? after : prefix;
        struct name *name = names_from(names, uid, from);
        uint32_t n = 0;

        *morep = false;
        for (; name && !strncmp(name_text(name), prefix, strlen(prefix)); name = names_next(name)) {
                if (!name->tensor && !(name->loss && with_lost))
                        continue;
                if (after && strcmp(name_text(name), after) <= 0)
                        continue;
                if (n == max) {
                        *morep = true;
                        break;
                }
                rows[n++] = (struct listed){ .name = name_text(name),
                                             .tensor = name->tensor,
                                             .loss = name->loss };
        }
        return n;
}

uint32_t store_list(struct store *store, uid_t uid, const char *prefix, const char *after,
                    bool with_lost, struct listed *rows, uint32_t max, bool *morep)
{
        return names_list(&store->names, uid, prefix, after, with_lost, rows, max, morep);
}

uint32_t store_list_shared(struct store *store, uid_t owner, const char *prefix, const char *after,
                           struct listed *rows, uint32_t max, bool *morep)
{
        return names_list(&store->shown, owner, prefix, after, false, rows, max, morep);
}

int store_recall(struct store *store, uid_t uid, const struct op_id *op_id, struct tensor **tensorp)
{
        struct outcome *outcome = outcomes_find(&store->outcomes, uid, op_id, clock_now_ms());

        if (!outcome)
                return STORE_E_NOT_FOUND;
        if (store_find_id(store, uid, outcome->tensor_id, tensorp))
                *tensorp = NULL;
        return 0;
}

struct tensor *store_recall_name(struct store *store, uid_t uid, const struct op_id *op_id,
                                 const char *name)
{
        struct outcome *outcome = outcomes_find(&store->outcomes, uid, op_id, clock_now_ms());
        struct name *entry = names_find(&store->names, uid, name, strlen(name));

        return outcome && entry && entry->outcome == outcome ? entry->tensor : NULL;
}

/* ---- reservations ---- */

int store_reserve_name(struct store *store, struct user *user, const char *name, bool replace,
                       struct reservation **reservationp)
{
        _cleanup_(freep) struct reservation *reservation = NULL;
        struct name *entry = names_find(&store->names, user->uid, name, strlen(name));
        int r;

        if (entry && (entry->reservation || !replace))
                return STORE_E_TAKEN;
        reservation = calloc(1, sizeof(*reservation));
        if (!reservation)
                return -ENOMEM;
        r = names_get(&store->names, user, name, strlen(name), &entry);
        if (r)
                return r;
        reservation->store = store;
        reservation->name = entry;
        entry->reservation = reservation;
        if (entry->tensor)
                unused_update(entry->tensor);
        *reservationp = steal_ptr(&reservation);
        return 0;
}

struct reservation *reservation_free(struct reservation *reservation)
{
        if (!reservation)
                return NULL;
        assert(reservation->name->reservation == reservation);
        reservation->name->reservation = NULL;
        if (reservation->name->tensor)
                unused_update(reservation->name->tensor);
        names_settle(&reservation->store->names, reservation->name);
        free(reservation);
        return NULL;
}

uint32_t reservation_record_bytes(const struct reservation *reservation, const struct desc *desc,
                                  bool is_heap)
{
        const uint64_t n_data = (uint64_t)desc_n_bytes(desc);
        const struct record record = { .type = RECORD_COMMIT,
                                       .n_name = (uint16_t)strlen(name_text(reservation->name)),
                                       .desc = *desc,
                                       .has_segment = !is_heap && n_data > 0,
                                       .n_data = n_data };

        return record_n_bytes(&record);
}

const struct tensor *reservation_leaves(const struct reservation *reservation)
{
        const struct tensor *tensor = reservation ? reservation->name->tensor : NULL;

        return tensor && tensor->n_refs == 1 ? tensor : NULL;
}

int name_show(struct store *store, struct name *name, bool is_shown)
{
        int r;

        if (is_shown && !name->shown) {
                r = names_get(&store->shown, name->user, name_text(name), strlen(name_text(name)),
                              &name->shown);
                if (r)
                        return r;
                name->shown->tensor = name->tensor;
        } else if (!is_shown && name->shown) {
                name->shown->tensor = NULL;
                names_settle(&store->shown, name->shown);
                name->shown = NULL;
        }
        return 0;
}

/* It means nothing any more: what it meant, and the reference to that, or NULL. */
static struct tensor *name_empty(struct store *store, struct name *name)
{
        struct tensor *before = steal_ptr(&name->tensor);

        /* What it means next is shown to nobody unasked. */
        name_show(store, name, false);
        if (before) {
                before->name = NULL;
                unused_update(before);
                before->n_hidden++;
                name->user->n_names--;
                store->n_named--;
        }
        return before;
}

struct loss *loss_new(enum loss_reason reason, const struct td_type *type, struct spilled *left)
{
        struct loss *loss = calloc(1, sizeof(*loss));

        if (loss)
                *loss = (struct loss){ .reason = reason, .type = *type, .left = left };
        return loss;
}

void name_lose(struct store *store, struct name *name, struct loss *loss)
{
        const bool is_file =
                loss->reason == LOSS_FILE_MISSING || loss->reason == LOSS_FILE_DAMAGED;
        struct tensor *before = name_empty(store, name);

        assert(!name->loss);
        once_log(LOG_LEVEL_WARNING, ONCE_LOST, name->user->uid, "\"%.*s\": %s, it is lost",
                 name_cut(name_text(name), strlen(name_text(name)), 48), name_text(name),
                 is_file ? "the file that it was spilled to is missing or damaged"
                         : "its memory is missing or was changed");
        name->loss = loss;
        name->user->n_lost++;
        store->n_lost++;
        tensor_unref(before);
}

/* It is not lost any more: what is left of it goes. */
static void name_give_up(struct store *store, struct name *name)
{
        if (!name->loss)
                return;
        spill_give_up(store, name->loss->left);
        free(name->loss);
        name->loss = NULL;
        name->user->n_lost--;
        store->n_lost--;
}

void name_assign(struct store *store, struct name *name, struct tensor *tensor,
                 struct outcome *outcome, struct charge *record)
{
        struct tensor *before = name_empty(store, name);

        name_give_up(store, name);
        outcome_release(&store->outcomes, name->outcome);
        name->outcome = outcome;
        store->n_record_bytes -= name->record.n;
        charge_drop(&name->record);
        if (record)
                charge_move(&name->record, record);
        store->n_record_bytes += name->record.n;
        name->tensor = tensor;
        if (tensor) {
                tensor->name = name;
                name->user->n_names++;
                store->n_named++;
        }
        tensor_unref(before);
}

/* ---- committing ---- */

int outcome_of_charge(int r, enum resource resource)
{
        if (!r)
                return 0;
        return r == CHARGE_E_LIMIT && resource == RESOURCE_BYTES ? STORE_E_LIMIT : STORE_E_QUOTA;
}

static void record_place(struct record *record, const struct segment *segment)
{
        record->has_segment = true;
        memcpy(record->random, segment->random, sizeof(record->random));
        record->file_bytes = segment->file_bytes;
        record->inode = segment->inode;
}

static void record_of_tensor(struct record *record, const struct name *name,
                             const struct tensor *tensor)
{
        const struct segment *segment = tensor->heap ? NULL : tensor->segment;

        *record = (struct record){ .type = RECORD_COMMIT,
                                   .uid = name->user->uid,
                                   .name = name_text(name),
                                   .n_name = (uint16_t)strlen(name_text(name)),
                                   .desc = tensor->desc,
                                   .is_mutable = tensor->mutable,
                                   .is_shared = name->shown && name->tensor == tensor,
                                   .is_evictable = tensor->is_evictable,
                                   .n_data = tensor_n_bytes(tensor),
                                   .data = tensor->heap };
        memcpy(record->tensor_id, tensor->id, sizeof(record->tensor_id));
        if (segment)
                record_place(record, segment);
        if (tensor->spilled) {
                const struct spill_place *place = &tensor->spilled->place;

                record->has_segment = false;
                record->is_spilled = true;
                memcpy(record->random, place->random, sizeof(record->random));
                record->file_bytes = place->n_bytes;
                record->check = place->check;
        }
}

static uint32_t commit_n_bytes(const struct commit *commit)
{
        struct record record;

        record_of_tensor(&record, commit->reservation->name, commit->tensor);
        return record_n_bytes(&record);
}

/* What the names will take in the catalog is their users': what is more than they take now. */
static int commit_charge(struct commit *commits, uint32_t n_commits, uint64_t *n_bytesp)
{
        int r;

        for (uint32_t i = 0; i < n_commits; i++) {
                const struct name *name = commits[i].reservation->name;
                uint64_t n_bytes = commit_n_bytes(&commits[i]), n_now = name->record.n;

                assert(commits[i].tensor->state != TENSOR_UNSEALED && !commits[i].tensor->name);
                assert(!commits[i].is_evictable || !commits[i].tensor->mutable);
                r = charge_take(&commits[i].record, name->user, RESOURCE_RECORDS,
                                n_bytes > n_now ? n_bytes - n_now : 0);
                if (r)
                        return outcome_of_charge(r, RESOURCE_RECORDS);
                *n_bytesp += n_bytes;
        }
        return 0;
}

/* The rest is what the name's record was charged for. */
static void commit_take_over(struct store *store, struct commit *commit)
{
        struct charge *before = &commit->reservation->name->record;
        uint64_t n_rest = commit_n_bytes(commit) - commit->record.n;
        uint64_t n_before = n_rest < before->n ? n_rest : before->n;

        if (n_before > 0)
                charge_shrink(before, n_before);
        store->n_record_bytes -= n_before;
        charge_adopt_more(&commit->record, n_rest);
}

/*
 * What the operation came to is remembered, on its user's account; where nothing is left of a share
 * only what gives something back is (tensor_id NULL).
 */
static int commit_outcome(struct store *store, struct user *user, const struct op_id *op_id,
                          const uint8_t tensor_id[16], uint64_t now_ms, struct outcome **outcomep)
{
        int r = 0;

        if (tensor_id)
                r = outcome_of_charge(user_may_take(user, RESOURCE_WORKSPACE, OUTCOME_BYTES),
                                      RESOURCE_WORKSPACE);
        if (r)
                return r;
        r = outcomes_put(&store->outcomes, user->uid, op_id, tensor_id, now_ms, outcomep);
        if (!r)
                outcome_charge(*outcomep, user);
        return r;
}

/* All that can fail. can_wait: for room in the catalog, for which others move to files. */
static int commit_publish(struct store *store, struct commit *commits, uint32_t n_commits,
                          const struct op_id *op_id, bool can_wait, struct outcome **outcomep)
{
        bool has_op = op_id && op_id->is_set;
        uint64_t now_ms = clock_now_ms(), n_bytes = 0;
        struct record record;
        int r;

        r = commit_charge(commits, n_commits, &n_bytes);
        if (r)
                return r;
        outcomes_sweep(&store->outcomes, now_ms);
        /* What is kept for others is left to them, but by who has computed already. */
        r = catalog_await_room(store, n_bytes + (can_wait ? store->n_prepaid_bytes : 0));
        /* What moves to the disk for it may take its time, and the disk may fail. */
        if (r == STORE_E_TRIMMING && !can_wait)
                r = catalog_lend_little(store, n_bytes);
        if (!r && has_op)
                r = commit_outcome(store, commits[0].tensor->user, op_id, commits[0].tensor->id,
                                   now_ms, outcomep);
        if (r)
                return r;

        for (uint32_t i = 0; i < n_commits; i++) {
                record_of_tensor(&record, commits[i].reservation->name, commits[i].tensor);
                record.is_evictable = commits[i].is_evictable;
                record.time_ms = now_ms;
                if (has_op) {
                        record.op_id = *op_id;
                        record.op_index = (uint16_t)i;
                }
                catalog_stage(&store->catalog, &record);
        }
        r = catalog_publish(&store->catalog);
        if (r)
                outcome_cancel(&store->outcomes, *outcomep);
        return r;
}

static int commit_all(struct store *store, struct commit *commits, uint32_t n_commits,
                      const struct op_id *op_id, bool can_wait)
{
        struct outcome *outcome = NULL;
        int r;

        r = commit_publish(store, commits, n_commits, op_id, can_wait, &outcome);
        for (uint32_t i = 0; i < n_commits && r; i++)
                charge_drop(&commits[i].record);
        for (uint32_t i = 0; i < n_commits && !r; i++) {
                struct reservation *reservation;

                commits[i].tensor->is_evictable = commits[i].is_evictable;
                commit_take_over(store, &commits[i]);
                reservation = steal_ptr(&commits[i].reservation);
                name_assign(store, reservation->name, tensor_ref(commits[i].tensor),
                            outcome_hold(outcome), &commits[i].record);
                reservation_free(reservation);
        }
        for (uint32_t i = 0; i < n_commits && !r && store->config.named; i++)
                store->config.named(store->config.ctx, commits[i].tensor);
        return r;
}

int store_commit(struct store *store, struct commit *commits, uint32_t n_commits,
                 const struct op_id *op_id)
{
        return commit_all(store, commits, n_commits, op_id, true);
}

int store_commit_now(struct store *store, struct commit *commits, uint32_t n_commits,
                     const struct op_id *op_id)
{
        return commit_all(store, commits, n_commits, op_id, false);
}

/* It means nothing any more, as the catalog says by now. */
static void name_forget(struct store *store, struct name *name)
{
        name_assign(store, name, NULL, NULL, NULL);
        names_settle(&store->names, name);
}

static void record_of_deletion(struct record *record, const struct name *name)
{
        *record = (struct record){ .type = RECORD_DELETE,
                                   .uid = name->user->uid,
                                   .name = name_text(name),
                                   .n_name = (uint16_t)strlen(name_text(name)),
                                   .time_ms = clock_now_ms() };
}

int name_evict(struct store *store, struct name *name)
{
        struct record record;
        int r;

        assert(name->tensor->is_evictable && name->tensor->n_refs == 1 && !name->reservation);
        record_of_deletion(&record, name);
        catalog_stage(&store->catalog, &record);
        r = catalog_publish(&store->catalog);
        if (r)
                return r;
        name_forget(store, name);
        store->n_evicted++;
        return 0;
}

int names_evict_prepare(struct store *store, struct tensor *const tensors[], unsigned n)
{
        struct record record;
        uint64_t n_bytes = 0;

        for (unsigned i = 0; i < n; i++) {
                record_of_deletion(&record, tensors[i]->name);
                n_bytes += record_n_bytes(&record);
        }
        return catalog_lend_room(store, n_bytes);
}

int store_delete(struct store *store, uid_t uid, const char *name, const struct op_id *op_id)
{
        struct name *entry = names_find(&store->names, uid, name, strlen(name));
        struct outcome *outcome = NULL;
        struct record record;
        int r;

        if (!entry)
                return STORE_E_NOT_FOUND;
        if (entry->reservation)
                return STORE_E_TAKEN;
        record_of_deletion(&record, entry);
        outcomes_sweep(&store->outcomes, record.time_ms);
        if (op_id)
                record.op_id = *op_id;
        r = catalog_lend_room(store, record_n_bytes(&record));
        if (r)
                return r;
        if (record.op_id.is_set) {
                r = commit_outcome(store, entry->user, op_id, NULL, record.time_ms, &outcome);
                if (r)
                        return r;
        }
        catalog_stage(&store->catalog, &record);
        r = catalog_publish(&store->catalog);
        if (r) {
                outcome_cancel(&store->outcomes, outcome);
                return r;
        }
        name_forget(store, entry);
        return 0;
}

/* ---- saying again ---- */

/* A name's record once more, as that of the operation that gave it its value. */
static void record_again(struct record *record, const struct name *name)
{
        const struct outcome *outcome = name->outcome;

        record_of_tensor(record, name, name->tensor);
        record->time_ms = clock_now_ms();
        if (!outcome)
                return;
        record->time_ms = outcome->time_ms;
        record->op_id.is_set = true;
        memcpy(record->op_id.bytes, outcome->key.op_id, sizeof(record->op_id.bytes));
        /* Which of those that it named is not known any more, but whether it was the first. */
        record->op_index = memcmp(outcome->tensor_id, record->tensor_id, 16) != 0;
}

/* There is room for it, as r says. */
static int catalog_say(struct store *store, const struct record *record, int r)
{
        if (r)
                return r;
        catalog_stage(&store->catalog, record);
        return catalog_publish(&store->catalog);
}

int name_say_again(struct store *store, const struct name *name)
{
        struct record record;

        record_again(&record, name);
        return catalog_say(store, &record, catalog_lend_room(store, record_n_bytes(&record)));
}

uint32_t name_again_bytes(const struct name *name)
{
        struct record record;

        record_again(&record, name);
        return record_n_bytes(&record);
}

/* ---- sharing ---- */

/* Those who map the old one go on showing the same values there, until they let go of it. */
static void tensor_move(struct tensor *tensor, struct segment *to)
{
        struct segment *from = tensor->segment;

        to->is_sealed = true;
        from->is_replaced = true;
        tensor->segment = to;
        segment_unref(from);
}

int store_share(struct store *store, struct tensor *tensor, bool is_shared, struct segment *copy)
{
        _cleanup_(segment_unrefp) struct segment *owned = copy;
        struct name *name = tensor->name;
        bool was_shared = tensor_is_shared(tensor);
        struct record record;
        int r;

        assert(name && tensor->state == TENSOR_SEALED && (!copy || is_shared));
        if (was_shared == is_shared && !copy)
                return 0;
        r = is_shared ? name_show(store, name, true) : 0;
        if (r)
                return r;
        record_again(&record, name);
        record.is_shared = is_shared;
        if (copy)
                record_place(&record, copy);
        /* What is hidden gives something back: it waits for nobody, and is not refused. */
        r = is_shared ? catalog_await_room(store, store->n_prepaid_bytes + record_n_bytes(&record))
                      : catalog_lend_room(store, record_n_bytes(&record));
        r = catalog_say(store, &record, r);
        if (!r && copy)
                tensor_move(tensor, steal_ptr(&owned));
        if (!r && !tensor->heap && tensor->segment && is_shared)
                tensor->segment->was_writable = false;
        name_show(store, name, r ? was_shared : is_shared);
        if (!r && is_shared && store->config.named)
                store->config.named(store->config.ctx, tensor);
        return r;
}
