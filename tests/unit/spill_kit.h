/* SPDX-License-Identifier: MIT */
/*
 * Kit for tests of what is spilled: a directory for each test, and what lies in it.
 */
#pragma once

#include "store_kit.h"

#include "base/clock.h"
#include "base/once.h"
#include "store/spill_file.h"
#include "store/unused.h"

#define LIMIT (256 * KIT_MIB)
#define UID 1000
#define N 20000 /* elements of a tensor that may be spilled */

__attribute__((unused)) static char kit_spill[64];

__attribute__((unused)) static void kit_spill_begin(void)
{
        strcpy(kit_spill, "/dev/shm/tensord-spill-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(kit_spill));
}

/* Nothing may be left. */
__attribute__((unused)) static void kit_spill_end(void)
{
        char path[80];

        snprintf(path, sizeof(path), "%s/.tensord", kit_spill);
        unlink(path);
        ck_assert_int_eq(rmdir(kit_spill), 0);
}

/* How many files there are of such a name, and the path of one; not the one of whose they are. */
static inline unsigned kit_spill_walk(const char *containing, char path[320])
{
        DIR *dir = opendir(kit_spill);
        struct dirent *entry;
        unsigned n = 0;

        ck_assert_ptr_nonnull(dir);
        while ((entry = readdir(dir))) {
                if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
                    !strcmp(entry->d_name, ".tensord") || !strstr(entry->d_name, containing))
                        continue;
                if (path)
                        snprintf(path, 320, "%s/%s", kit_spill, entry->d_name);
                n++;
        }
        closedir(dir);
        return n;
}

__attribute__((unused)) static unsigned kit_spilled(const char *containing)
{
        return kit_spill_walk(containing, NULL);
}

__attribute__((unused)) static void kit_spill_first(const char *containing, char path[320])
{
        ck_assert_uint_gt(kit_spill_walk(containing, path), 0);
}

__attribute__((unused)) static void kit_spill_make(const char *name)
{
        char path[320];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", kit_spill, name);
        fd = open(path, O_WRONLY | O_CREAT, 0600);
        ck_assert_int_ge(fd, 0);
        close(fd);
}

__attribute__((unused)) static struct store *spilling(void)
{
        return kit_store_with(&(struct store_config){ .prefix = KIT_PREFIX,
                                                      .directory = kit_directory,
                                                      .spill_directory = kit_spill,
                                                      .limit = LIMIT });
}

__attribute__((unused)) static struct tensor *find(struct store *store, const char *name)
{
        struct tensor *tensor;

        ck_assert_int_eq(store_find(store, UID, name, &tensor), 0);
        return tensor;
}

__attribute__((unused)) static void put(struct store *store, const char *name, double seed)
{
        struct user *user = kit_user(store, UID);

        ck_assert_int_eq(kit_name(store, kit_tensor(store, user, N, seed), name, NULL), 0);
        user_unref(user);
}

/* As those who look for memory see it. */
__attribute__((unused)) static bool may_go(struct tensor *tensor)
{
        return tensor_is_spillable(tensor) && !list_is_empty(&tensor->unused_link) &&
               unused_clear(tensor, clock_now_ms()) == 0;
}

__attribute__((unused)) static void out(struct store *store, const char *name)
{
        struct tensor *tensor = find(store, name);

        ck_assert(may_go(tensor) && spill_begin(store, tensor));
        ck_assert(tensor_is_spilled(tensor));
}

/* What a request does for one. */
__attribute__((unused)) static int fetch(struct store *store, struct tensor *tensor)
{
        struct segment *segment;
        bool is_ready;
        int r;

        if (tensor_is_lost(tensor))
                return STORE_E_LOST;
        if (!tensor_wants_fetch(tensor))
                return 0;
        r = store_reserve(store, tensor->user, NULL, tensor_n_bytes(tensor), &segment, &is_ready);
        if (!r)
                r = store_fetch_prepare(store, tensor, segment, is_ready);
        if (!r)
                store_fetch_begin(store, tensor);
        return r;
}

__attribute__((unused)) static bool is_there(struct store *store, const char *name, double seed)
{
        struct tensor *tensor;

        if (store_find(store, UID, name, &tensor))
                return false;
        if (tensor_is_spilled(tensor))
                ck_assert_int_eq(fetch(store, tensor), 0);
        return !tensor_is_spilled(tensor) && kit_tensor_is(tensor, seed);
}

__attribute__((unused)) static void clear_spill(void)
{
        char path[320];

        while (kit_spilled("") > 0) {
                kit_spill_first("", path);
                remove(path);
        }
}

/* ---- the disk, as slow as the test wants ---- */

struct slow {
        struct spill_job *jobs[8];
        unsigned n;
        int fetched;
        unsigned n_fetched;
};

__attribute__((unused)) static void keep_job(void *ctx, struct spill_job *job)
{
        struct slow *slow = ctx;

        slow->jobs[slow->n++] = job;
}

__attribute__((unused)) static void on_fetched(void *ctx, struct tensor *tensor,
                                               struct list *waits, int r)
{
        struct slow *slow = ctx;

        (void)tensor;
        (void)waits;
        slow->fetched = r;
        slow->n_fetched++;
}

__attribute__((unused)) static void work(struct slow *slow)
{
        /* Those that come of it too: the file of one that came back, or stays, goes. */
        for (unsigned i = 0; i < slow->n; i++) {
                spill_job_run(slow->jobs[i]);
                spill_job_done(slow->jobs[i]);
        }
        slow->n = 0;
}

__attribute__((unused)) static struct store *slowly(struct slow *slow)
{
        return kit_store_with(&(struct store_config){ .prefix = KIT_PREFIX,
                                                      .directory = kit_directory,
                                                      .spill_directory = kit_spill,
                                                      .limit = LIMIT,
                                                      .ctx = slow,
                                                      .disk = keep_job,
                                                      .fetched = on_fetched });
}

__attribute__((unused)) static void forget(struct store *store)
{
        kit_forget(store, UID);
        ck_assert_uint_eq(kit_spilled(""), 0);
}
