/* SPDX-License-Identifier: MIT */
#include "purge.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"
#include "tensord/prefix.h"

/* ---- names ---- */

int purge_names(td_client *client, bool is_json, td_error *error)
{
        td_list *list;
        size_t n;
        int r = td_list_with_lost(client, -1, NULL, &list, error);

        if (r)
                return r;
        n = td_list_size(list);
        for (size_t i = 0; i < n && r == TD_OK; i++) {
                r = td_delete(client, td_list_at(list, i)->name, error);
                if (r == TD_E_NOT_FOUND)
                        r = TD_OK;
        }
        td_list_free(list);
        if (r == TD_OK)
                printf(is_json ? "{\"names\": %zu}\n" : "removed %zu names\n", n);
        return r;
}

/* ---- what a directory holds ---- */

struct removed {
        size_t n_files;
        uint64_t n_bytes; /* that its file system gets back */
};

static int remove_file(int directory, const char *name, const struct stat *st,
                       struct removed *removed)
{
        if (unlinkat(directory, name, 0) < 0)
                return -errno;
        removed->n_files++;
        removed->n_bytes += (uint64_t)st->st_blocks * 512;
        return 0;
}

/* Each of them is visited, even if one fails: 0, or the first negative errno. */
static int visit_entries(int directory,
                         int (*visit)(void *ctx, const char *name, const struct stat *st),
                         void *ctx)
{
        int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), first = 0;
        DIR *entries = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;

        if (!entries) {
                first = -errno;
                if (fd >= 0)
                        close(fd);
                return first;
        }
        while ((errno = 0, entry = readdir(entries))) {
                struct stat st;
                int r = 0;

                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                if (fstatat(directory, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
                        r = visit(ctx, entry->d_name, &st);
                else if (errno != ENOENT)
                        r = -errno;
                first = first ? first : r;
        }
        first = first ? first : -errno;
        closedir(entries);
        return first;
}

/* ---- shared memory ---- */

struct objects {
        int directory;
        int lock_fd;
        char prefix[TD_SHM_PREFIX_SIZE];
        char lock[TD_SHM_PREFIX_SIZE + 8];
        struct removed removed;
};

static int objects_open(struct objects *objects, const char *address, td_error *error)
{
        char path[PATH_MAX];
        int r = td_absolute_path(path, sizeof(path), address);

        *objects = (struct objects){ .directory = -1, .lock_fd = -1 };
        if (r < 0)
                return error_set(error, TD_E_NO_DAEMON, "%s: no daemon answers: %s", address,
                                 strerror(-r));
        td_shm_prefix(objects->prefix, geteuid(), path);
        snprintf(objects->lock, sizeof(objects->lock), "%s.lock", objects->prefix);
        objects->directory = open(PURGE_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (objects->directory < 0)
                return error_set(error, TD_E_SYSTEM, "%s: %s", PURGE_DIRECTORY, strerror(errno));
        return TD_OK;
}

static void objects_close(struct objects *objects)
{
        if (objects->lock_fd >= 0)
                close(objects->lock_fd);
        if (objects->directory >= 0)
                close(objects->directory);
}

/* From now on nobody can start a daemon. */
static int objects_lock(struct objects *objects, const char *address, td_error *error)
{
        objects->lock_fd = openat(objects->directory, objects->lock,
                                  O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (objects->lock_fd < 0)
                return error_set(error, TD_E_SYSTEM, "%s/%s: %s", PURGE_DIRECTORY, objects->lock,
                                 strerror(errno));
        if (flock(objects->lock_fd, LOCK_EX | LOCK_NB) < 0)
                return error_set(
                        error, TD_E_NO_DAEMON,
                        "%s: a daemon is running there, but does not answer; it is left alone",
                        address);
        return TD_OK;
}

static int objects_visit(void *ctx, const char *name, const struct stat *st)
{
        struct objects *objects = ctx;
        size_t n_prefix = strlen(objects->prefix);

        if (strncmp(name, objects->prefix, n_prefix) != 0 || name[n_prefix] != '.' ||
            strcmp(name, objects->lock) == 0 || st->st_uid != geteuid())
                return 0;
        return remove_file(objects->directory, name, st, &objects->removed);
}

/* All but the lock, which is held; then the lock. */
static int objects_remove(struct objects *objects, td_error *error)
{
        int r = visit_entries(objects->directory, objects_visit, objects);

        if (r == 0 && unlinkat(objects->directory, objects->lock, 0) < 0)
                r = -errno;
        return r == 0 ? TD_OK
                      : error_set(error, TD_E_SYSTEM, "%s/%s.*: %s", PURGE_DIRECTORY,
                                  objects->prefix, strerror(-r));
}

/* ---- spilled tensors ---- */

/* Why something is left. */
enum why {
        WHY_NONE,
        WHY_STRANGER,
        WHY_NO_FILE,
        WHY_OTHER_CATALOG,
        WHY_NO_OWNER,
};

static const struct {
        const char *name;
        const char *text;
} whys[] = {
        [WHY_STRANGER] = { "stranger", "no file that a daemon made" },
        [WHY_NO_FILE] = { "no_file", "named as a tensor's file is, but not a file of this user" },
        [WHY_OTHER_CATALOG] = { "other_catalog", "of another catalog, or of another boot" },
        [WHY_NO_OWNER] = { "no_owner", "it is not written whose it is (" TD_SPILL_OWNER ")" },
};

struct spill {
        const char *path; /* NULL: none, and nothing else counts */
        int fd;
        bool is_json;
        enum why others; /* WHY_NONE: the files are the catalog's */
        struct removed removed;
        size_t n_left;
        FILE *left; /* as it is to be printed */
        char *text;
        size_t n_text;
};

/* As a daemon opens it; nothing is made. */
static int spill_open(struct spill *spill, const char *path, bool is_json, td_error *error)
{
        struct stat st;

        *spill = (struct spill){ .path = path, .fd = -1, .is_json = is_json };
        if (!path)
                return TD_OK;
        spill->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (spill->fd < 0 || fstat(spill->fd, &st) < 0)
                return error_set(error, TD_E_SYSTEM,
                                 "the spill directory %s: %s; nothing was removed", path,
                                 strerror(errno));
        if (st.st_uid != geteuid() || (st.st_mode & 077))
                return error_set(error, TD_E_SYSTEM,
                                 "the spill directory %s belongs to uid %u and has the permissions "
                                 "%04o; a daemon's is its user's alone (uid %u, 0700); nothing was "
                                 "removed",
                                 path, st.st_uid, st.st_mode & 07777, geteuid());
        spill->left = open_memstream(&spill->text, &spill->n_text);
        return spill->left ? TD_OK : fail_no_memory(error);
}

static void spill_close(struct spill *spill)
{
        if (spill->left)
                fclose(spill->left);
        free(spill->text);
        if (spill->fd >= 0)
                close(spill->fd);
}

/* Whose files are they? 0 or negative errno. */
static int spill_find_owner(struct spill *spill, const struct objects *objects)
{
        char boot_id[TD_BOOT_ID_SIZE], ours[TD_SPILL_OWNER_SIZE], text[TD_SPILL_OWNER_SIZE + 1];
        int r = td_boot_id(boot_id);
        ssize_t n;

        if (r == 0)
                r = td_spill_owner(ours, objects->directory, boot_id, objects->prefix);
        if (r < 0)
                return r;
        n = td_spill_owner_read(text, spill->fd);
        if (n < 0 && n != -ENOENT)
                return (int)n;
        if (n <= 0 || text[n - 1] != '\n')
                spill->others = WHY_NO_OWNER;
        else if (strcmp(text, ours) != 0)
                spill->others = WHY_OTHER_CATALOG;
        return 0;
}

/* No daemon has it, nor gets it while the files are removed. */
static int spill_lock(struct spill *spill, const struct objects *objects, td_error *error)
{
        int r;

        if (!spill->path)
                return TD_OK;
        if (flock(spill->fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK
                               ? error_set(error, TD_E_NO_DAEMON,
                                           "the spill directory %s: a daemon that is running has "
                                           "it; it is left alone, and nothing was removed",
                                           spill->path)
                               : error_set(error, TD_E_SYSTEM, "the spill directory %s: %s",
                                           spill->path, strerror(errno));
        r = spill_find_owner(spill, objects);
        if (r < 0)
                return error_set(error, TD_E_SYSTEM, "%s/%s: %s; nothing was removed", spill->path,
                                 TD_SPILL_OWNER, strerror(-r));
        /* its daemon may start */
        if (spill->others != WHY_NONE)
                flock(spill->fd, LOCK_UN);
        return TD_OK;
}

static void spill_leave(struct spill *spill, const char *name, enum why why)
{
        fputs(!spill->is_json ? "  "
              : spill->n_left ? ", {\"name\": "
                              : "{\"name\": ",
              spill->left);
        json_string(spill->left, name);
        fprintf(spill->left, spill->is_json ? ", \"why\": \"%s\"}" : ": %s\n",
                spill->is_json ? whys[why].name : whys[why].text);
        spill->n_left++;
}

static int spill_visit(void *ctx, const char *name, const struct stat *st)
{
        struct spill *spill = ctx;
        bool is_owner = strcmp(name, TD_SPILL_OWNER) == 0 || strcmp(name, TD_SPILL_OWNER_NEW) == 0;

        if (is_owner && spill->others == WHY_NONE)
                return 0; /* it goes last */
        if (!is_owner && !td_spill_is_name(name))
                spill_leave(spill, name, WHY_STRANGER);
        else if (spill->others != WHY_NONE)
                spill_leave(spill, name, spill->others);
        else if (!S_ISREG(st->st_mode) || st->st_uid != geteuid())
                spill_leave(spill, name, WHY_NO_FILE);
        else
                return remove_file(spill->fd, name, st, &spill->removed);
        return 0;
}

/* The owner is forgotten when none of the files can come back. 0 or negative errno. */
static int spill_disown(const struct spill *spill)
{
        static const char *const names[] = { TD_SPILL_OWNER_NEW, TD_SPILL_OWNER };

        if (fsync(spill->fd) < 0)
                return -errno;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (unlinkat(spill->fd, names[i], 0) < 0 && errno != ENOENT)
                        return -errno;
        return 0;
}

static int spill_remove(struct spill *spill, td_error *error)
{
        int r;

        if (!spill->path)
                return TD_OK;
        r = visit_entries(spill->fd, spill_visit, spill);
        if (r == 0 && spill->others == WHY_NONE)
                r = spill_disown(spill);
        if (r < 0)
                return error_set(error, TD_E_SYSTEM,
                                 "the spill directory %s: %s; removed %zu files, %" PRIu64
                                 " bytes there, and nothing in %s",
                                 spill->path, strerror(-r), spill->removed.n_files,
                                 spill->removed.n_bytes, PURGE_DIRECTORY);
        return fflush(spill->left) || ferror(spill->left) ? fail_no_memory(error) : TD_OK;
}

/* ---- all of it ---- */

static void print_json(const struct objects *objects, const struct spill *spill)
{
        printf("{\"objects\": %zu, \"bytes\": %" PRIu64, objects->removed.n_files,
               objects->removed.n_bytes);
        if (spill->path)
                printf(", \"spilled\": {\"files\": %zu, \"bytes\": %" PRIu64 ", \"left\": [%s]}",
                       spill->removed.n_files, spill->removed.n_bytes, spill->text);
        puts("}");
}

static void print_text(const struct objects *objects, const struct spill *spill)
{
        printf("no daemon is running; removed %zu objects, %" PRIu64 " bytes\n",
               objects->removed.n_files, objects->removed.n_bytes);
        if (spill->path)
                printf("%s: removed %zu files, %" PRIu64 " bytes; left %zu\n%s", spill->path,
                       spill->removed.n_files, spill->removed.n_bytes, spill->n_left, spill->text);
}

int purge_left(const char *address, const char *spill_directory, bool is_json, td_error *error)
{
        struct objects objects;
        struct spill spill;
        int r = objects_open(&objects, address, error);

        if (r == TD_OK) {
                r = spill_open(&spill, spill_directory, is_json, error);
                if (r == TD_OK)
                        r = objects_lock(&objects, address, error);
                if (r == TD_OK)
                        r = spill_lock(&spill, &objects, error);
                if (r == TD_OK)
                        r = spill_remove(&spill, error);
                if (r == TD_OK)
                        r = objects_remove(&objects, error);
                if (r == TD_OK)
                        (is_json ? print_json : print_text)(&objects, &spill);
                spill_close(&spill);
        }
        objects_close(&objects);
        return r;
}
