/* SPDX-License-Identifier: MIT */
#include "store/spill_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "tensord/prefix.h"

/* How long it is, or negative errno. */
static int owner_format(const struct shm *shm, char text[TD_SPILL_OWNER_SIZE])
{
        int n = td_spill_owner(text, shm->fd, shm->boot_id, shm->prefix);

        return n < 0 ? error_origin(n) : n;
}

int spill_owner_read(const struct spill_dir *dir, const struct shm *shm)
{
        char text[TD_SPILL_OWNER_SIZE + 1], ours[TD_SPILL_OWNER_SIZE];
        const size_t n_boot = 36;
        ssize_t n;
        int r;

        r = owner_format(shm, ours);
        if (r < 0)
                return r;
        n = td_spill_owner_read(text, dir->fd);
        if (n < 0)
                return n == -ENOENT ? SPILL_OTHERS : error_origin((int)n);
        if (strcmp(text, ours) == 0)
                return SPILL_OURS;
        /* Whole, and not of this boot: what is cut might be. */
        if (n > (ssize_t)n_boot && text[n - 1] == '\n' && strncmp(text, ours, n_boot) != 0)
                return SPILL_NOBODYS;
        return SPILL_OTHERS;
}

int spill_owner_write(const struct spill_dir *dir, const struct shm *shm)
{
        _cleanup_(closep) int fd = -1;
        char text[TD_SPILL_OWNER_SIZE];
        int n = owner_format(shm, text);
        ssize_t n_written;

        if (n < 0)
                return n;
        fd = openat(dir->fd, TD_SPILL_OWNER_NEW,
                    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return error_origin(-errno);
        n_written = write(fd, text, (size_t)n);
        if (n_written != n) /* so little is cut only where nothing more fits */
                return error_origin(n_written < 0 ? -errno : -ENOSPC);
        if (fsync(fd) < 0 || renameat(dir->fd, TD_SPILL_OWNER_NEW, dir->fd, TD_SPILL_OWNER) < 0 ||
            fsync(dir->fd) < 0)
                return error_origin(-errno);
        return 0;
}

void spill_owner_remove(const struct spill_dir *dir)
{
        unlinkat(dir->fd, TD_SPILL_OWNER_NEW, 0);
        unlinkat(dir->fd, TD_SPILL_OWNER, 0);
}
