/* SPDX-License-Identifier: MIT */
/*
 * Recovery
 *
 * First everything is read: the directory, the catalog's header, every record up to the tail. If
 * any of it is wrong, nothing was changed yet and nothing is: the daemon refuses to start. Then
 * every name's last record is held against its file: it agrees and is adopted, or the name is lost.
 * Then the ledger (recover_ledger.c). Last, segments that no name claims are removed, or held where
 * somebody still maps them, and files that no name claims are removed (recover_spill.c).
 *
 * Only these last steps change files, one by one, so recovery can be killed anywhere and begun
 * anew.
 */
#include "store/state.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/once.h"
#include "store/unused.h"

struct found {
        uint64_t id;
        uint8_t random[SHM_RANDOM];
        uid_t uid;
        struct stat st;
        bool is_claimed;
        UT_hash_handle hh;
};

static void found_freep(struct found **foundp)
{
        struct found *found, *next;

        HASH_ITER (hh, *foundp, found, next) {
                HASH_DEL(*foundp, found);
                free(found);
        }
}

static void closedirp(DIR **dirp)
{
        if (*dirp)
                closedir(*dirp);
}

/* Anybody may put something of such a name there: what is not our file speaks of no segment. */
static int recover_stat(const struct store *store, const char *name, struct stat *st)
{
        if (fstatat(store->shm.fd, name, st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (S_ISREG(st->st_mode) && st->st_uid == geteuid())
                return 0;
        once_log(LOG_LEVEL_WARNING, ONCE_FOREIGN, st->st_uid,
                 "%s is not a file of the daemon's user, it is left alone", name);
        return -ENOENT;
}

/* Everything in the directory. */
static int recover_walk(struct store *store,
                        int (*visit)(struct store *store, const char *name, void *ctx), void *ctx)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *entry;
        int fd, r = 0;

        fd = openat(store->shm.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_origin(-errno);
        dir = fdopendir(fd);
        if (!dir) {
                close(fd);
                return error_origin(-errno);
        }
        while (!r && (errno = 0, entry = readdir(dir)))
                r = visit(store, entry->d_name, ctx);
        return r ? r : errno ? error_origin(-errno) : 0;
}

/* Every segment under the prefix. */
static int recover_look(struct store *store, const char *name, void *ctx)
{
        struct found **foundp = ctx, found = { 0 }, *copy;
        int r;

        if (!shm_parse_segment(&store->shm, name, &found.uid, found.random))
                return 0;
        r = recover_stat(store, name, &found.st);
        if (r)
                return r == -ENOENT ? 0 : error_origin(r);
        found.id = shm_segment_id(found.random);
        HASH_FIND(hh, *foundp, &found.id, sizeof(found.id), copy);
        if (copy || found.id == 0) {
                log_warning("%s has a number that is taken, it is left alone", name);
                return 0;
        }
        copy = malloc(sizeof(*copy));
        if (!copy)
                return -ENOMEM;
        *copy = found;
        HASH_ADD(hh, *foundp, id, sizeof(copy->id), copy);
        if (!table_has(copy)) {
                free(copy);
                return -ENOMEM;
        }
        return 0;
}

/* ---- the catalog's records ---- */

static int replay_outcome(struct store *store, const struct record *record, struct user *user,
                          struct outcome **outcomep)
{
        int r;

        const uint8_t *tensor_id = record->type == RECORD_DELETE ? NULL : record->tensor_id;

        *outcomep = NULL;
        if (!record->op_id.is_set)
                return 0;
        if (record->op_index > 0) {
                /* The first of its group says what is told; if that is gone, so is the value. */
                *outcomep = outcomes_find(&store->outcomes, record->uid, &record->op_id,
                                          record->time_ms);
                if (*outcomep)
                        return 0;
                tensor_id = NULL;
        }
        r = outcomes_put(&store->outcomes, record->uid, &record->op_id, tensor_id, record->time_ms,
                         outcomep);
        if (!r)
                outcome_charge(*outcomep, user);
        return r;
}

static int replay_record(struct store *store, const struct record *record, struct user *user,
                         const uint8_t *bytes)
{
        struct outcome *outcome;
        struct name *name;
        int r;

        r = replay_outcome(store, record, user, &outcome);
        if (r || record->type == RECORD_OUTCOME)
                return r;
        if (record->type == RECORD_DELETE) {
                name = names_find(&store->names, record->uid, record->name, record->n_name);
                if (name) {
                        name->replayed = NULL;
                        name->outcome = outcome_release(&store->outcomes, name->outcome);
                        names_settle(&store->names, name);
                }
                return 0;
        }
        r = names_get(&store->names, user, record->name, record->n_name, &name);
        if (r)
                return r;
        outcome_hold(outcome);
        outcome_release(&store->outcomes, name->outcome);
        name->outcome = outcome;
        name->replayed = bytes;
        return 0;
}

static int replay(void *ctx, const struct record *record, const uint8_t *bytes)
{
        struct store *store = ctx;
        struct user *user;
        int r;

        r = user_get(&store->users, record->uid, &user);
        if (r)
                return r;
        r = replay_record(store, record, user, bytes);
        user_unref(user);
        return r;
}

/* ---- adopting ---- */

/* The file that a record speaks of, or NULL: it is missing or another, as *reasonp says. */
static int adopt_segment(struct store *store, struct user *user, const struct record *record,
                         struct found *founds, struct segment **segmentp, enum loss_reason *reasonp)
{
        uint64_t id = shm_segment_id(record->random);
        struct segment *segment;
        struct found *found;
        int r;

        *segmentp = NULL;
        HASH_FIND(hh, founds, &id, sizeof(id), found);
        *reasonp = found ? LOSS_MEMORY_CHANGED : LOSS_MEMORY_MISSING;
        if (!found || found->is_claimed || found->uid != record->uid ||
            memcmp(found->random, record->random, SHM_RANDOM) != 0 ||
            !shm_is_whole(&found->st, record->file_bytes) || found->st.st_ino != record->inode)
                return 0;
        r = memory_add(store, user, record->random, record->file_bytes, NULL, &segment);
        if (r)
                return r;
        /* Whoever was handed it by an earlier daemon may still map it. */
        segment->has_file = true;
        segment->inode = found->st.st_ino;
        segment->n_handed = N_HANDED_MAX;
        segment->was_writable = !record->is_shared;
        segment->is_sealed = !record->is_mutable;
        found->is_claimed = true;
        *segmentp = segment;
        return 0;
}

/* spilled: its file, which is taken over; NULL: there is none. */
static int adopt_lost(struct store *store, struct name *name, enum loss_reason reason,
                      const struct td_type *type, struct spilled *spilled)
{
        struct loss *loss = loss_new(reason, type, spilled);

        if (!loss) {
                spilled_free(spilled);
                return -ENOMEM;
        }
        name_lose(store, name, loss);
        return 0;
}

static int adopt_name(struct store *store, struct name *name, struct found *founds,
                      struct spill_found *spills, char message[256])
{
        /* where another name has the tensor, too */
        enum loss_reason reason = LOSS_MEMORY_CHANGED;
        struct segment *segment = NULL;
        struct spilled *spilled = NULL;
        struct tensor *tensor;
        struct record record;
        uint32_t n_record_bytes;
        int r;

        r = record_read(name->replayed, store->catalog.tail,
                        (uint64_t)((const uint8_t *)name->replayed - store->catalog.file->map),
                        &record, &n_record_bytes);
        assert(!r); /* it was read before, and the check covers its place */
        name->replayed = NULL;
        charge_adopt(&name->record, name->user, RESOURCE_RECORDS, n_record_bytes);
        store->n_record_bytes += n_record_bytes;
        HASH_FIND(hh, store->tensors, record.tensor_id, sizeof(record.tensor_id), tensor);
        if (record.has_segment && !tensor)
                r = adopt_segment(store, name->user, &record, founds, &segment, &reason);
        else if (record.is_spilled && !tensor)
                r = spill_adopt(store, name->user, &record, spills, &spilled, message);
        if (r)
                return r;
        if (record.is_spilled && !tensor)
                reason = spilled ? LOSS_FILE_DAMAGED : LOSS_FILE_MISSING;
        if (tensor || (record.has_segment && !segment) ||
            (record.is_spilled && (!spilled || spilled->is_lost)))
                return adopt_lost(store, name, reason, &record.desc.type, spilled);
        r = tensor_adopt(&tensor, store, name->user, &record.desc, segment, spilled, record.data,
                         record.tensor_id);
        if (r)
                return r; /* its segment is left as it is */
        tensor->name = name;
        tensor->is_evictable = record.is_evictable;
        tensor->used = record.time_ms;
        name->tensor = tensor;
        name->user->n_names++;
        store->n_named++;
        if (record.is_mutable)
                r = tensor_make_mutable(tensor);
        return !r && record.is_shared ? name_show(store, name, true) : r;
}

/* A segment that nobody names is removed, or held. */
static int recover_stray(struct store *store, const struct found *found)
{
        struct segment *segment;
        struct user *user;
        int r;

        r = user_get(&store->users, found->uid, &user);
        if (r)
                return r;
        r = memory_add(store, user, found->random, (uint64_t)found->st.st_size, NULL, &segment);
        user_unref(user);
        if (r)
                return r;
        segment->has_file = true;
        segment->inode = found->st.st_ino;
        segment->n_handed = N_HANDED_MAX;
        segment->was_writable = true;
        /* Not known to be whole: never used again. */
        atomic_store(&segment->is_poisoned, true);
        segment_unref(segment);
        return 0;
}

/* ---- in order ---- */

static int recover_refuse(const struct store *store, char message[256], const char *what)
{
        snprintf(message, 256,
                 "%.30s/%.40s.catalog: %.100s. Nothing was changed; "
                 "to start empty, remove it and its segments",
                 store->config.directory, store->shm.prefix, what);
        return STORE_E_CATALOG;
}

static int recover_catalog(struct store *store, struct found *founds, struct spill_found *spills,
                           char message[256])
{
        char what[256];
        int r, e;

        r = catalog_open(&store->catalog, &store->shm, what);
        if (r == CATALOG_E_DAMAGED)
                return recover_refuse(store, message, what);
        if (r >= 0) {
                e = spill_check_owner(store, spills, r == 0, message);
                if (e)
                        return e;
        }
        if (r == CATALOG_E_ABSENT) {
                if (founds)
                        return recover_refuse(
                                store, message,
                                "it is missing, or of another boot, and there are segments");
                r = catalog_create(&store->catalog, &store->shm);
                if (r == CATALOG_E_FULL) {
                        snprintf(message, 256, "%s has no room for the catalog",
                                 store->config.directory);
                        return STORE_E_FULL;
                }
        }
        if (r)
                return r;
        charge_adopt(&store->catalog.file->charge, store->self, RESOURCE_BYTES,
                     store->catalog.file->n_bytes);
        return 0;
}

/* A catalog or ledger that was not finished when the daemon was killed goes. */
static int recover_unlink(struct store *store, const char *name, void *ctx)
{
        struct stat st;
        int r;

        (void)ctx;
        if (!shm_parse_new(&store->shm, name))
                return 0;
        r = recover_stat(store, name, &st);
        if (!r && unlinkat(store->shm.fd, name, 0) < 0)
                r = -errno;
        return r && r != -ENOENT ? error_origin(r) : 0;
}

/* One of an earlier version is adopted, and written anew before anything is added to it. */
static int recover_upgrade(struct store *store, char message[256])
{
        uint32_t version = store->catalog.version;
        int r;

        if (version == CATALOG_VERSION)
                return 0;
        r = catalog_renew(store);
        if (r > 0) {
                snprintf(message, 256,
                         "there is no room to write the catalog of version %u anew, in version %u; "
                         "it is as it was",
                         version, CATALOG_VERSION);
                return STORE_E_FULL;
        }
        if (!r)
                log_notice("the catalog of version %u is now one of version %u", version,
                           CATALOG_VERSION);
        return r;
}

int store_recover(struct store *store, char message[256])
{
        _cleanup_(found_freep) struct found *founds = NULL;
        _cleanup_(spill_found_freep) struct spill_found *spills = NULL;
        struct found *found;
        char what[256];
        uint64_t damaged_at;
        int r;

        r = store_look_at(store, "catalog", message);
        if (!r)
                r = store_look_at(store, "ledger", message);
        if (!r)
                r = recover_walk(store, recover_look, &founds);
        if (!r)
                r = spill_look_around(store, &spills);
        if (!r)
                r = recover_catalog(store, founds, spills, message);
        if (r)
                return r;
        r = record_scan(store->catalog.file->map + CATALOG_RECORDS,
                        store->catalog.tail - CATALOG_RECORDS, CATALOG_RECORDS, replay, store,
                        &damaged_at);
        if (r == RECORD_E_DAMAGED) {
                snprintf(what, sizeof(what), "the record at byte %" PRIu64 " is damaged",
                         damaged_at);
                return recover_refuse(store, message, what);
        }
        for (struct name *name = store->names.first[0]; name && !r; name = name->next[0])
                r = adopt_name(store, name, founds, spills, message);
        if (!r)
                r = unused_recover(store);
        if (r)
                return r;
        outcomes_sweep(&store->outcomes, clock_now_ms());

        r = recover_walk(store, recover_unlink, NULL);
        if (!r)
                r = recover_ledger(store, store->catalog.version >= CATALOG_VERSION_LEDGER,
                                   message);
        if (!r)
                r = recover_upgrade(store, message);
        for (found = founds; found && !r; found = found->hh.next)
                if (!found->is_claimed)
                        r = recover_stray(store, found);
        if (!r) {
                spill_remove_strays(store, spills);
                spill_own(store);
        }
        return r;
}
