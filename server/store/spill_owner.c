/* SPDX-License-Identifier: MIT */
#include "store/spill_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "tensord/prefix.h"

#define OWNER TD_SPILL_OWNER
#define OWNER_NEW TD_SPILL_OWNER_NEW
#define OWNER_MAX TD_SPILL_OWNER_SIZE

/* How long it is, or negative errno. */
static int owner_format(const struct shm *shm, char text[OWNER_MAX])
{
        int n = td_spill_owner(text, shm->fd, shm->boot_id, shm->prefix);

        return n < 0 ? error_origin(n) : n;
}

int spill_owner_read(const struct spill_dir *dir, const struct shm *shm)
{
        char text[OWNER_MAX + 1], ours[OWNER_MAX];
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
        char text[OWNER_MAX];
        int n = owner_format(shm, text);

        if (n < 0)
                return n;
        fd = openat(dir->fd, OWNER_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                    0600);
        if (fd < 0)
                return error_origin(-errno);
        if (write(fd, text, (size_t)n) != n)
                return error_origin(errno ? -errno : -EIO);
        if (fsync(fd) < 0 || renameat(dir->fd, OWNER_NEW, dir->fd, OWNER) < 0 || fsync(dir->fd) < 0)
                return error_origin(-errno);
        return 0;
}

void spill_owner_remove(const struct spill_dir *dir)
{
        unlinkat(dir->fd, OWNER_NEW, 0);
        unlinkat(dir->fd, OWNER, 0);
}
