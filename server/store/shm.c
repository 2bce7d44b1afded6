/* SPDX-License-Identifier: MIT */
#include "store/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

int shm_init(struct shm *shm, const char *directory, const char *prefix)
{
        int r;

        if (strlen(prefix) >= sizeof(shm->prefix) || strchr(prefix, '/') || !*prefix)
                return error_origin(-EINVAL);
        strcpy(shm->prefix, prefix);
        r = td_boot_id(shm->boot_id);
        if (r < 0)
                return error_origin(r);
        shm->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return shm->fd < 0 ? error_origin(-errno) : 0;
}

void shm_deinit(struct shm *shm)
{
        close(shm->fd);
        shm->fd = -1;
}

void shm_name(const struct shm *shm, const char *suffix, char name[SHM_NAME_MAX])
{
        snprintf(name, SHM_NAME_MAX, "%s.%s", shm->prefix, suffix);
}

void shm_put_hex(char *p, const uint8_t random[SHM_RANDOM])
{
        for (unsigned i = 0; i < SHM_RANDOM; i++) {
                *p++ = "0123456789abcdef"[random[i] >> 4];
                *p++ = "0123456789abcdef"[random[i] & 15];
        }
        *p = '\0';
}

void shm_segment_name(const struct shm *shm, uid_t uid, const uint8_t random[SHM_RANDOM],
                      char name[SHM_NAME_MAX])
{
        shm_put_hex(name + snprintf(name, SHM_NAME_MAX, "%s.%u.", shm->prefix, uid), random);
}

static int shm_hex(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool shm_take_hex(const char *text, uint8_t random[SHM_RANDOM])
{
        for (unsigned i = 0; i < SHM_RANDOM; i++) {
                int high = shm_hex(text[2 * i]), low = high < 0 ? -1 : shm_hex(text[2 * i + 1]);

                if (low < 0)
                        return false;
                random[i] = (uint8_t)(high << 4 | low);
        }
        return true;
}

bool shm_parse_segment(const struct shm *shm, const char *name, uid_t *uidp,
                       uint8_t random[SHM_RANDOM])
{
        size_t n = strlen(shm->prefix);
        char canonical[SHM_NAME_MAX];
        char *end;
        unsigned long uid;

        if (strncmp(name, shm->prefix, n) != 0 || name[n] != '.' || strlen(name) >= SHM_NAME_MAX)
                return false;
        uid = strtoul(name + n + 1, &end, 10);
        if (*end != '.' || strlen(end + 1) != 2 * SHM_RANDOM || uid > UINT32_MAX ||
            !shm_take_hex(end + 1, random))
                return false;
        *uidp = (uid_t)uid;

        /* One object has one spelling: signs, blanks and leading zeros are not ours. */
        shm_segment_name(shm, *uidp, random, canonical);
        return strcmp(canonical, name) == 0;
}

bool shm_parse_new(const struct shm *shm, const char *name)
{
        char before[SHM_NAME_MAX];
        int n = snprintf(before, sizeof(before), "%s.new.", shm->prefix);

        return strncmp(name, before, (size_t)n) == 0 && strlen(name + n) == 2 * SHM_RANDOM &&
               strspn(name + n, "0123456789abcdef") == 2 * SHM_RANDOM;
}

uint64_t shm_segment_id(const uint8_t random[SHM_RANDOM])
{
        uint64_t id;

        memcpy(&id, random, sizeof(id));
        return id;
}

/*
 * posix_fallocate() is all or nothing, and a storm of signals would let it begin for ever anew. A
 * fault must still be caught.
 */
static int shm_reserve(int fd, uint64_t from, uint64_t n_bytes)
{
        sigset_t block, before;
        int r;

        sigfillset(&block);
        sigdelset(&block, SIGBUS);
        sigdelset(&block, SIGSEGV);
        pthread_sigmask(SIG_SETMASK, &block, &before);
        do
                r = posix_fallocate(fd, (off_t)from, (off_t)n_bytes);
        while (r == EINTR);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return -r;
}

int shm_create(const struct shm *shm, const char *name, uint64_t n_bytes, int *fdp)
{
        _cleanup_(closep) int fd = -1;
        int r;

        fd = openat(shm->fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return errno == ENOSPC ? SHM_E_FULL : error_origin(-errno);
        r = shm_reserve(fd, 0, n_bytes);
        if (r < 0) {
                if (unlinkat(shm->fd, name, 0) < 0)
                        error_origin(-errno);
                return r == -ENOSPC ? SHM_E_FULL : error_origin(r);
        }
        *fdp = steal_fd(&fd);
        return 0;
}

int shm_create_new(const struct shm *shm, uint64_t n_bytes, char name[SHM_NAME_MAX], int *fdp)
{
        uint8_t random[SHM_RANDOM];
        int r;

        r = shm_random(random, sizeof(random));
        if (r)
                return r;
        shm_put_hex(name + snprintf(name, SHM_NAME_MAX, "%s.new.", shm->prefix), random);
        return shm_create(shm, name, n_bytes, fdp);
}

int shm_install(const struct shm *shm, char name[SHM_NAME_MAX], const char *suffix)
{
        char to[SHM_NAME_MAX];

        shm_name(shm, suffix, to);
        if (renameat(shm->fd, name, shm->fd, to) < 0)
                return error_origin(-errno);
        name[0] = '\0';
        return 0;
}

void shm_remove(const struct shm *shm, char name[SHM_NAME_MAX])
{
        if (name[0] && unlinkat(shm->fd, name, 0) < 0 && errno != ENOENT)
                error_origin(-errno);
        name[0] = '\0';
}

int shm_grow(int fd, uint64_t n_before, uint64_t n_bytes)
{
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return error_origin(-errno);
        if ((uint64_t)st.st_size != n_before)
                return error_origin(-EIO);
        if (n_bytes == n_before)
                return 0;
        r = shm_reserve(fd, n_before, n_bytes - n_before);
        return r == -ENOSPC ? SHM_E_FULL : r < 0 ? error_origin(r) : 0;
}

bool shm_is_whole(const struct stat *st, uint64_t n_bytes)
{
        return S_ISREG(st->st_mode) && st->st_uid == geteuid() && st->st_nlink == 1 &&
               (uint64_t)st->st_size == n_bytes && (uint64_t)st->st_blocks * 512 >= n_bytes;
}

int shm_random(void *bytes, size_t n_bytes)
{
        ssize_t n;

        do
                n = getrandom(bytes, n_bytes, 0);
        while (n < 0 && errno == EINTR);
        return n == (ssize_t)n_bytes ? 0 : error_origin(n < 0 ? -errno : -EIO);
}
