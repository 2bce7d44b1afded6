/* SPDX-License-Identifier: MIT */
/*
 * Recovery of what was spilled
 *
 * The directory is read before anything is changed, like that of the segments. If the files in it
 * are another catalog's, or no catalog is there that could name them, the daemon refuses to start.
 * A file is held against the record that names it by its length and its header; its data is
 * compared with the hash when it is read. Files that no record names go last.
 */
#include "store/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/once.h"
#include "store/spill_owner.h"

void spill_found_freep(struct spill_found **foundsp)
{
        struct spill_found *found, *next;

        HASH_ITER (hh, *foundsp, found, next) {
                HASH_DEL(*foundsp, found);
                free(found);
        }
}

static void closedirp(DIR **dirp)
{
        if (*dirp)
                closedir(*dirp);
}

static int spill_add(struct spill_found **foundsp, const uint8_t random[SHM_RANDOM], bool is_whole)
{
        struct spill_found *found;

        HASH_FIND(hh, *foundsp, random, SHM_RANDOM, found);
        if (!found) {
                found = calloc(1, sizeof(*found));
                if (!found)
                        return -ENOMEM;
                memcpy(found->random, random, SHM_RANDOM);
                HASH_ADD(hh, *foundsp, random, SHM_RANDOM, found);
                if (!table_has(found)) {
                        free(found);
                        return -ENOMEM;
                }
        }
        *(is_whole ? &found->is_whole : &found->is_part) = true;
        return 0;
}

int spill_look_around(struct store *store, struct spill_found **foundsp)
{
        const struct spill_dir *dir = &store->spill.dir;
        _cleanup_(closedirp) DIR *opened = NULL;
        uint8_t random[SHM_RANDOM];
        struct dirent *entry;
        bool is_whole;
        int fd, r = 0;

        if (dir->fd < 0)
                return 0;
        fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_origin(-errno);
        opened = fdopendir(fd);
        if (!opened) {
                close(fd);
                return error_origin(-errno);
        }
        while (!r && (errno = 0, entry = readdir(opened)))
                if (spill_parse(entry->d_name, random, &is_whole))
                        r = spill_add(foundsp, random, is_whole);
        return r ? r : errno ? error_origin(-errno) : 0;
}

static bool spill_has_whole(const struct spill_found *founds)
{
        for (const struct spill_found *found = founds; found; found = found->hh.next)
                if (found->is_whole)
                        return true;
        return false;
}

int spill_check_owner(struct store *store, const struct spill_found *founds, bool has_catalog,
                      char message[256])
{
        int owner;

        if (store->spill.dir.fd < 0)
                return 0;
        owner = spill_owner_read(&store->spill.dir, &store->shm);
        if (owner < 0)
                return owner;
        store->spill.is_ours = owner == SPILL_OURS;
        if (owner == SPILL_NOBODYS || (owner == SPILL_OURS && has_catalog) ||
            !spill_has_whole(founds))
                return 0;
        snprintf(message, 256,
                 owner == SPILL_OURS
                         ? "the spill directory %.60s holds tensors of the catalog %.20s/%.40s, "
                           "which is missing. Nothing was changed; to give them up, remove them"
                         : "the spill directory %.60s holds tensors of another catalog than "
                           "%.20s/%.40s. Nothing was changed; to give them up, remove them",
                 store->config.spill_directory, store->config.directory, store->shm.prefix);
        return STORE_E_CATALOG;
}

int spill_adopt(struct store *store, struct user *user, const struct record *record,
                struct spill_found *founds, struct spilled **spilledp, char message[256])
{
        struct spill_place place = { .n_bytes = record->file_bytes, .check = record->check };
        struct spill_found *found;
        int r;

        if (store->spill.dir.fd < 0) {
                snprintf(message, 256,
                         "uid %u, \"%.*s\" was spilled to a file, and this daemon was given no "
                         "--spill-dir; nothing was changed",
                         user->uid, name_cut(record->name, record->n_name, 80), record->name);
                return STORE_E_CATALOG;
        }
        if (!store->spill.is_ours) {
                snprintf(message, 256,
                         "uid %u, \"%.*s\" was spilled to a file, and %.60s is not this catalog's "
                         "spill directory (is the disk there?); nothing was changed",
                         user->uid, name_cut(record->name, record->n_name, 60), record->name,
                         store->config.spill_directory);
                return STORE_E_CATALOG;
        }
        HASH_FIND(hh, founds, record->random, SHM_RANDOM, found);
        if (!found || !found->is_whole || found->is_claimed)
                return 0;
        memcpy(place.random, record->random, sizeof(place.random));
        /* Whatever it is, a record names it: it is not ours to remove. */
        found->is_claimed = true;
        r = spill_look(&store->spill.dir, &place, &record->desc);
        if (r < 0)
                once_log(LOG_LEVEL_WARNING, ONCE_SPILL, user->uid,
                         "\"%.*s\": the file that it was spilled to cannot be read: %s",
                         name_cut(record->name, record->n_name, 32), record->name, strerror(-r));
        *spilledp = spilled_new();
        if (!*spilledp)
                return -ENOMEM;
        (*spilledp)->place = place;
        (*spilledp)->is_lost = r == SPILL_E_DAMAGED; /* else who wants it is told, or has it */
        charge_adopt(&(*spilledp)->charge, user, RESOURCE_SPILLED, place.n_bytes);
        return 0;
}

void spill_remove_strays(struct store *store, struct spill_found *founds)
{
        for (struct spill_found *found = founds; found; found = found->hh.next) {
                if (found->is_whole && !found->is_claimed)
                        spill_remove(&store->spill.dir, found->random);
                if (found->is_part)
                        spill_remove_part(&store->spill.dir, found->random);
        }
}

void spill_own(struct store *store)
{
        int r;

        if (store->spill.dir.fd < 0 || store->spill.is_ours)
                return;
        r = spill_owner_write(&store->spill.dir, &store->shm);
        store->spill.is_ours = !r;
        if (r)
                spill_back_off(store, store->self, strerror(-r));
}

void spill_disown(struct store *store)
{
        _cleanup_(spill_found_freep) struct spill_found *founds = NULL;

        if (store->spill.dir.fd < 0 || spill_look_around(store, &founds))
                return;
        spill_remove_strays(store, founds);
        spill_owner_remove(&store->spill.dir);
}
