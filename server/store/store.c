/* SPDX-License-Identifier: MIT */
/*
 * The store's life, and its figures
 *
 * One daemon at a time: it holds a lock on an object of its own. A store that ends leaves the files
 * of what is named, with the catalog, and nothing else; where nothing is named it leaves nothing at
 * all.
 */
#include "store/state.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "store/guard.h"
#include "store/lease.h"
#include "store/unused.h"

int store_random(struct store *store, uint8_t bytes[16])
{
        static const uint8_t zeros[16];
        int r;

        do {
                if (store->n_random < 16) {
                        r = shm_random(store->random, sizeof(store->random));
                        if (r)
                                return r;
                        store->n_random = sizeof(store->random);
                }
                store->n_random -= 16;
                memcpy(bytes, store->random + store->n_random, 16);
                memset(store->random + store->n_random, 0, 16);
        } while (memcmp(bytes, zeros, 16) == 0);
        return 0;
}

struct users *store_users(struct store *store)
{
        return &store->users;
}

/* ---- one instance ---- */

int store_look_at(const struct store *store, const char *suffix, char message[256])
{
        char name[SHM_NAME_MAX];
        struct stat st;

        shm_name(&store->shm, suffix, name);
        if (fstatat(store->shm.fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : error_origin(-errno);
        if (st.st_uid == geteuid() && !S_ISDIR(st.st_mode))
                return 0;
        snprintf(message, 256, "%.60s/%.96s.%.10s is %s of uid %u, in the daemon's way: remove it",
                 store->config.directory, store->shm.prefix, suffix,
                 S_ISDIR(st.st_mode) ? "a directory" : "a file", st.st_uid);
        return STORE_E_CATALOG;
}

static int store_lock(struct store *store, char message[256])
{
        char name[SHM_NAME_MAX];

        shm_name(&store->shm, "lock", name);
        for (;;) {
                _cleanup_(closep) int fd = -1;
                struct stat ours, there;
                int r = store_look_at(store, "lock", message);

                if (r)
                        return r;
                fd = openat(store->shm.fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (fd < 0)
                        return error_origin(-errno);
                if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                        if (errno == EINTR)
                                continue;
                        if (errno != EWOULDBLOCK)
                                return error_origin(-errno);
                        snprintf(message, 256, "another daemon holds the lock %s in %s", name,
                                 store->config.directory);
                        return STORE_E_BUSY;
                }
                /*
                 * Whoever held it before may have removed it on leaving: then another one may be
                 * locked meanwhile.
                 */
                if (fstat(fd, &ours) < 0)
                        return error_origin(-errno);
                if (fstatat(store->shm.fd, name, &there, AT_SYMLINK_NOFOLLOW) < 0) {
                        if (errno == ENOENT)
                                continue;
                        return error_origin(-errno);
                }
                if (ours.st_ino != there.st_ino || ours.st_dev != there.st_dev)
                        continue;
                if (ours.st_uid != geteuid())
                        continue;
                store->lock_fd = steal_fd(&fd);
                return 0;
        }
}

static void store_unlink(struct store *store, const char *suffix)
{
        char name[SHM_NAME_MAX];

        shm_name(&store->shm, suffix, name);
        if (unlinkat(store->shm.fd, name, 0) < 0 && errno != ENOENT)
                error_origin(-errno);
}

/* ---- the end ---- */

/* The segment goes, its file stays for the next start. */
static void store_leave_segment(struct store *store, struct segment *segment)
{
        memory_move(segment, SEGMENT_DISPOSING);
        segment_unmap(segment);
        segment->has_file = false;
        segment->n_refs = 0;
        store_disposed(store, segment);
}

static void store_leave_names(struct store *store)
{
        struct name *name;

        while ((name = store->names.first[0])) {
                struct tensor *tensor = name->tensor;

                assert(!name->reservation && (!tensor || tensor->n_refs == 1));
                if (tensor) /* what is listed as unused keeps its segment */
                        tensor_ref(tensor);
                if (tensor && tensor->segment && !tensor->heap)
                        store_leave_segment(store, steal_ptr(&tensor->segment));
                if (tensor)
                        tensor->spilled = spilled_free(tensor->spilled);
                if (name->loss)
                        name->loss->left = spilled_free(name->loss->left);
                name_assign(store, name, NULL, NULL, NULL);
                names_settle(&store->names, name);
                tensor_unref(tensor);
        }
}

static void store_forget_recovered(struct store *store)
{
        struct recovered *recovered;

        while ((recovered = store_next_recovered(store)))
                recovered_free(recovered);
}

/* Forget everything. Files of what is not named are removed, unless they must stay as they are. */
static struct store *store_end(struct store *store, bool is_recovered)
{
        bool is_empty = store->names.n_names == 0;
        struct segment *segment, *next;

        store->config.dispose = NULL;
        store->config.freed = NULL;
        store->config.disk = NULL;
        assert(store->spill.n_out == 0);
        compaction_free(store->compaction);
        /* What it says of those that are left behind stays said. */
        ledger_close(&store->ledger);
        store_forget_recovered(store);
        store_leave_names(store);
        spill_forget_unremoved(store);
        assert(!store->tensors && !store->grants);
        assert(store->n_state_bytes[SEGMENT_DISPOSING] == 0);
        HASH_ITER (hh, store->segments, segment, next) {
                assert(segment->n_refs == 0 || !is_recovered);
                /* What cannot be removed is left to the next start, too. */
                if (is_recovered)
                        segment_destroy(segment);
                store_leave_segment(store, segment);
        }
        catalog_close(&store->catalog);
        if (is_recovered && is_empty) {
                spill_disown(store);
                store_unlink(store, "ledger");
                store_unlink(store, "catalog");
                store_unlink(store, "lock");
        }
        outcomes_deinit(&store->outcomes);
        names_deinit(&store->shown);
        names_deinit(&store->names);
        pool_deinit(&store->pool);
        warm_deinit(&store->warm);
        user_unref(store->self);
        users_deinit(&store->users);
        if (store->lock_fd >= 0)
                close(store->lock_fd);
        spill_dir_close(&store->spill.dir);
        shm_deinit(&store->shm);
        free(store);
        return NULL;
}

struct store *store_free(struct store *store)
{
        return store ? store_end(store, true) : NULL;
}

static void store_abandonp(struct store **storep)
{
        if (*storep)
                store_end(*storep, false);
}

/* ---- the beginning ---- */

/* The huge= option of the mount that the directory lies on. */
static void store_read_huge_pages(const struct store *store, char value[16])
{
        FILE *mounts;
        struct stat st;
        char line[4096];

        strcpy(value, "never");
        if (fstat(store->shm.fd, &st) < 0)
                return;
        mounts = fopen("/proc/self/mountinfo", "re");
        if (!mounts) {
                strcpy(value, "unknown");
                return;
        }
        while (fgets(line, sizeof(line), mounts)) {
                unsigned first, second;
                char *option;

                if (sscanf(line, "%*d %*d %u:%u", &first, &second) != 2 ||
                    first != major(st.st_dev) || second != minor(st.st_dev))
                        continue;
                option = strstr(line, "huge=");
                if (option)
                        sscanf(option, "huge=%15[a-z_]", value);
        }
        fclose(mounts);
}

bool store_has_held(const struct store *store)
{
        return !list_is_empty(&store->held) || spill_has_unremoved(store);
}

static int store_open_spill(struct store *store, const struct store_config *config,
                            char message[256])
{
        int r = spill_dir_open(&store->spill.dir, config->spill_directory, config->spill_free,
                               message);

        return r == SPILL_E_REFUSED ? STORE_E_CATALOG : r;
}

int store_new(struct store **storep, const struct store_config *config, char message[256])
{
        _cleanup_(freep) struct store *bare = calloc(1, sizeof(*bare));
        _cleanup_(store_abandonp) struct store *store = NULL;
        uint64_t seeds[2];
        int r;

        message[0] = '\0';
        if (!bare)
                return -ENOMEM;
        /*
         * An open while the holder test has its lease would be told to us by a signal that kills.
         */
        signal(SIGIO, SIG_IGN);
        r = guard_init();
        if (!r)
                r = shm_random(seeds, sizeof(seeds));
        if (!r)
                r = shm_init(&bare->shm, config->directory, config->prefix);
        if (r)
                return r;
        store = steal_ptr(&bare);
        store->lock_fd = store->ledger.fd = store->spill.dir.fd = -1;
        store->config = *config;
        store_read_huge_pages(store, store->huge_pages);
        users_init(&store->users, config->limit);
        if (config->quotas)
                users_set_quotas(&store->users, config->quotas);
        warm_init(&store->warm);
        pool_init(&store->pool);
        list_init(&store->shared);
        list_init(&store->held);
        list_init(&store->left);
        list_init(&store->recovered);
        list_init(&store->asked);
        list_init(&store->spill.waiting);
        list_init(&store->spill.unremoved);
        list_init(&store->aside);
        names_init(&store->names, seeds[0]);
        names_init(&store->shown, seeds[0] ^ seeds[1]);
        outcomes_init(&store->outcomes);
        r = user_get(&store->users, geteuid(), &store->self);
        if (!r)
                r = store_lock(store, message);
        if (!r && config->spill_directory)
                r = store_open_spill(store, config, message);
        if (r)
                return r;

        /* Nobody waits for memory yet, nor could take over a segment. */
        store->config.dispose = NULL;
        store->config.freed = NULL;
        r = store_recover(store, message);
        if (r)
                return r;
        store->config = *config;
        store->config.prefix = store->config.directory = store->config.spill_directory = NULL;
        store->config.quotas = NULL;
        *storep = steal_ptr(&store);
        return 0;
}

/* ---- figures ---- */

/* The catalog, the ledger, and what a compaction copies to, or from if the catalog grew since. */
static uint64_t store_catalog_bytes(const struct store *store)
{
        const struct compaction *compaction = store->compaction;
        uint64_t n_bytes = store->catalog.file->n_bytes + store->ledger.n_bytes;

        if (compaction) {
                n_bytes += compaction->n_bytes;
                if (compaction->from != store->catalog.file)
                        n_bytes += compaction->from->n_bytes;
        }
        return n_bytes;
}

uint64_t store_heap_bytes(const struct store *store)
{
        return store->n_heap_bytes + HASH_COUNT(store->tensors) * sizeof(struct tensor);
}

void store_figures(struct store *store, struct store_figures *figures)
{
        const uint64_t *n_bytes = store->n_state_bytes;
        struct statvfs st;

        *figures = (struct store_figures){
                .limit = store->config.limit,
                .used = store->users.totals[RESOURCE_BYTES].n,
                .peak = store->users.totals[RESOURCE_BYTES].n_most,
                .live = n_bytes[SEGMENT_LIVE],
                .idle = n_bytes[SEGMENT_IDLE] + n_bytes[SEGMENT_DISPOSING] + n_bytes[SEGMENT_LEFT],
                .parked = n_bytes[SEGMENT_PARKED] + n_bytes[SEGMENT_SHARED],
                .held = n_bytes[SEGMENT_HELD],
                .catalog = store_catalog_bytes(store),
                .heap = store->n_heap_bytes,
                .evictable = unused_total(store, UNUSED_EVICTABLE),
                .refused = store->n_refused,
                .n_evicted = store->n_evicted,
                .spilled = store->users.totals[RESOURCE_SPILLED].n,
                .n_tensors = HASH_COUNT(store->tensors),
                .n_names = store->n_named,
                .n_lost = store->n_lost,
                .n_held = store->n_state[SEGMENT_HELD],
        };
        assert(figures->used == figures->live + figures->idle + figures->parked + figures->held +
                                        figures->catalog + figures->heap);
        if (fstatvfs(store->shm.fd, &st) == 0)
                figures->shm_free = (uint64_t)st.f_bavail * st.f_frsize;
        memcpy(figures->huge_pages, store->huge_pages, sizeof(figures->huge_pages));
}
