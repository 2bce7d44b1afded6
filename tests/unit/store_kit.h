/* SPDX-License-Identifier: MIT */
/*
 * Kit for tests of the store: a directory of its own on /dev/shm, and what lies in it. kit_run()
 * runs a suite and fails if anything was left behind there.
 */
#pragma once

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/state.h"

#define KIT_PREFIX "tensord.kit"
#define KIT_MIB (UINT64_C(1024) * 1024)

/* Under the address sanitizer a fault is the sanitizer's. */
#if defined(__SANITIZE_ADDRESS__)
#define KIT_SANITIZED 1
#else
#define KIT_SANITIZED 0
#endif

__attribute__((unused)) static char kit_directory[64];

__attribute__((unused)) static struct store *kit_store_with(const struct store_config *config)
{
        struct store *store;
        char message[256];
        int r = store_new(&store, config, message);

        ck_assert_msg(r == 0, "store_new: %d %s", r, message);
        return store;
}

__attribute__((unused)) static struct store *kit_store(uint64_t limit)
{
        return kit_store_with(&(struct store_config){
                .prefix = KIT_PREFIX, .directory = kit_directory, .limit = limit });
}

/* Calls back for every file but the lock. */
__attribute__((unused)) static unsigned kit_files(const char *containing, uint64_t *n_bytesp)
{
        DIR *dir = opendir(kit_directory);
        struct dirent *entry;
        unsigned n = 0;

        ck_assert_ptr_nonnull(dir);
        while ((entry = readdir(dir))) {
                struct stat st;

                if (entry->d_name[0] == '.' || strstr(entry->d_name, ".lock") ||
                    !strstr(entry->d_name, containing))
                        continue;
                ck_assert_int_eq(fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
                if (n_bytesp)
                        *n_bytesp += (uint64_t)st.st_size;
                n++;
        }
        closedir(dir);
        return n;
}

/* The path of one of them. */
__attribute__((unused)) static char *kit_first(const char *containing, char path[320])
{
        DIR *dir = opendir(kit_directory);
        struct dirent *entry;

        path[0] = '\0';
        while ((entry = readdir(dir)))
                if (strstr(entry->d_name, containing))
                        snprintf(path, 320, "%s/%s", kit_directory, entry->d_name);
        closedir(dir);
        ck_assert_str_ne(path, "");
        return path;
}

/* File bytes under the prefix are what the figures say, no more and no less. */
__attribute__((unused)) static struct store_figures kit_check(struct store *store)
{
        struct store_figures figures;
        uint64_t n_bytes = 0;

        store_figures(store, &figures);
        kit_files("", &n_bytes);
        ck_assert_uint_eq(figures.used - figures.heap, n_bytes);
        ck_assert_uint_eq(figures.used, figures.live + figures.idle + figures.parked +
                                                figures.held + figures.catalog + figures.heap);
        return figures;
}

__attribute__((unused)) static struct user *kit_user(struct store *store, uid_t uid)
{
        struct user *user;

        ck_assert_int_eq(user_get(store_users(store), uid, &user), 0);
        return user;
}

/* Reserved and allocated. */
__attribute__((unused)) static struct segment *kit_segment(struct store *store, struct user *user,
                                                           struct holder *holder, uint64_t n_bytes)
{
        struct segment *segment;
        bool is_ready;

        ck_assert_int_eq(store_reserve(store, user, holder, n_bytes, &segment, &is_ready), 0);
        if (!is_ready)
                ck_assert_int_eq(segment_allocate(segment), 0);
        return segment;
}

__attribute__((unused)) static struct desc kit_desc(int64_t n)
{
        struct td_type type = { .dtype = TD_FLOAT64, .ndim = 1, .shape = { n } };
        struct desc desc;

        desc_init_c(&desc, &type);
        return desc;
}

__attribute__((unused)) static double kit_value(int64_t i, double seed)
{
        return seed + (double)i;
}

/* A sealed tensor of n float64 in a segment. */
__attribute__((unused)) static struct tensor *kit_tensor(struct store *store, struct user *user,
                                                         int64_t n, double seed)
{
        struct segment *segment = kit_segment(store, user, NULL, (uint64_t)n * 8);
        struct desc desc = kit_desc(n);
        struct tensor *tensor;
        double *data;

        ck_assert_int_eq(segment_pin(segment), 0);
        data = segment_data(segment);
        for (int64_t i = 0; i < n; i++)
                data[i] = kit_value(i, seed);
        segment_unpin(segment);
        ck_assert_int_eq(tensor_new(&tensor, store, user, &desc, segment, NULL, NULL), 0);
        ck_assert_int_eq(tensor_seal(tensor), 0);
        return tensor;
}

/* A small one, of one float64. */
__attribute__((unused)) static struct tensor *kit_small(struct store *store, struct user *user,
                                                        double value)
{
        struct desc desc = kit_desc(1);
        struct tensor *tensor;

        ck_assert_int_eq(tensor_new(&tensor, store, user, &desc, NULL, &value, NULL), 0);
        return tensor;
}

__attribute__((unused)) static bool kit_tensor_is(struct tensor *tensor, double seed)
{
        bool is_same = true;
        int64_t n = (int64_t)tensor_n_bytes(tensor) / 8;
        const double *data = (const double *)(void *)tensor->heap;

        if (!data) {
                ck_assert_int_eq(segment_pin(tensor->segment), 0);
                data = segment_data(tensor->segment);
        }
        for (int64_t i = 0; i < n; i++)
                is_same = is_same && data[i] == kit_value(i, seed);
        if (!tensor->heap)
                segment_unpin(tensor->segment);
        return is_same;
}

static unsigned kit_n_trims;

__attribute__((unused)) static void kit_on_trim(struct holder *holder, const uint64_t *segments,
                                                uint32_t n_segments)
{
        (void)holder;
        (void)segments;
        kit_n_trims += n_segments;
}

/* The name means the tensor from now on; takes its reference over. */
__attribute__((unused)) static int kit_commit(struct store *store, struct tensor *tensor,
                                              const char *name, bool is_evictable,
                                              const struct op_id *op_id)
{
        struct commit commit = { .tensor = tensor, .is_evictable = is_evictable };
        int r = store_reserve_name(store, tensor->user, name, true, &commit.reservation);

        if (!r)
                r = store_commit(store, &commit, 1, op_id);
        reservation_free(commit.reservation);
        tensor_unref(tensor);
        return r;
}

__attribute__((unused)) static int kit_name(struct store *store, struct tensor *tensor,
                                            const char *name, const struct op_id *op_id)
{
        return kit_commit(store, tensor, name, false, op_id);
}

__attribute__((unused)) static int kit_put(struct store *store, struct tensor *tensor,
                                           const char *name, bool is_evictable)
{
        return kit_commit(store, tensor, name, is_evictable, NULL);
}

__attribute__((unused)) static struct tensor *kit_find(struct store *store, uid_t uid,
                                                       const char *name)
{
        struct tensor *tensor;

        return store_find(store, uid, name, &tensor) ? NULL : tensor;
}

__attribute__((unused)) static void kit_delete_all(struct store *store, uid_t uid)
{
        struct listed first;
        bool more;

        while (store_list(store, uid, "", NULL, true, &first, 1, &more) > 0)
                ck_assert_int_eq(store_delete(store, uid, first.name, NULL), 0);
}

/* The one name of the user that is lost is so for that reason, and among the others where asked. */
__attribute__((unused)) static void kit_check_listed_lost(struct store *store, uid_t uid,
                                                          const char *name,
                                                          enum loss_reason reason, int64_t extent)
{
        struct listed rows[16];
        uint32_t n, n_lost = 0;
        bool more;

        n = store_list(store, uid, "", NULL, true, rows, 16, &more);
        for (uint32_t i = 0; i < n; i++) {
                ck_assert_int_eq(!rows[i].tensor, rows[i].loss != NULL);
                if (!rows[i].loss)
                        continue;
                n_lost++;
                ck_assert_str_eq(rows[i].name, name);
                ck_assert_int_eq(rows[i].loss->reason, reason);
                ck_assert_uint_eq(rows[i].loss->type.ndim, 1);
                ck_assert_int_eq(rows[i].loss->type.shape[0], extent);
        }
        ck_assert_uint_eq(n_lost, 1);
        ck_assert_uint_eq(user_find(store_users(store), uid)->n_lost, 1);
        ck_assert_uint_eq(store_list(store, uid, "", NULL, false, rows, 16, &more), n - 1);
        for (uint32_t i = 0; i < n - 1; i++)
                ck_assert_str_ne(rows[i].name, name);
}

/* With all that the user named, so that nothing is left. */
__attribute__((unused)) static void kit_forget(struct store *store, uid_t uid)
{
        kit_delete_all(store, uid);
        store_free(store);
        ck_assert_uint_eq(kit_files("", NULL), 0);
}

/* A child that keeps what it inherits until it is let go. */
struct kit_child {
        pid_t pid;
        int release;
};

__attribute__((unused)) static struct kit_child kit_child_begin(void)
{
        struct kit_child child;
        int fds[2];
        char byte;

        ck_assert_int_eq(pipe(fds), 0);
        child.pid = fork();
        ck_assert_int_ge(child.pid, 0);
        if (child.pid == 0) {
                close(fds[1]);
                while (read(fds[0], &byte, 1) < 0 && errno == EINTR)
                        ;
                _exit(0);
        }
        close(fds[0]);
        child.release = fds[1];
        return child;
}

__attribute__((unused)) static void kit_child_end(struct kit_child *child)
{
        int status;

        close(child->release);
        ck_assert_int_eq(waitpid(child->pid, &status, 0), child->pid);
        ck_assert_int_eq(status, 0);
}

/* Runs in a forked child, which must exit with 0. */
#define KIT_FORKED(statement) \
        do { \
                int _status; \
                pid_t _pid = fork(); \
\
                ck_assert_int_ge(_pid, 0); \
                if (_pid == 0) { \
                        statement; \
                        _exit(0); \
                } \
                ck_assert_int_eq(waitpid(_pid, &_status, 0), _pid); \
                ck_assert_int_eq(_status, 0); \
        } while (0)

__attribute__((unused)) static void kit_clear(void)
{
        DIR *dir = opendir(kit_directory);
        struct dirent *entry;

        if (!dir)
                return;
        while ((entry = readdir(dir)))
                if (entry->d_name[0] != '.')
                        unlinkat(dirfd(dir), entry->d_name, 0);
        closedir(dir);
}

/* A file system of so much in place of the directory; false: it cannot be tried here. */
__attribute__((unused)) static bool kit_mount(const char *options)
{
        if (mount("tensord-test", kit_directory, "tmpfs", 0, options) == 0)
                return true;
        printf("a full file system is not tested, mounting one takes root and CAP_SYS_ADMIN: %s\n",
               strerror(errno));
        return false;
}

__attribute__((unused)) static int kit_run(Suite *suite)
{
        SRunner *runner = srunner_create(suite);
        int n_failed, n_left;

        strcpy(kit_directory, "/dev/shm/tensord-test-XXXXXX");
        if (!mkdtemp(kit_directory)) {
                perror(kit_directory);
                return EXIT_FAILURE;
        }
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        n_left = rmdir(kit_directory) < 0;
        if (n_left) {
                fprintf(stderr, "%s: files were left behind\n", kit_directory);
                /* A test that failed may also have left a file system mounted on it. */
                umount2(kit_directory, MNT_DETACH);
                kit_clear();
                rmdir(kit_directory);
        }
        return n_failed || n_left ? EXIT_FAILURE : EXIT_SUCCESS;
}
