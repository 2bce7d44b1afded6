/* SPDX-License-Identifier: MIT */
/*
 * Calls that fail when they are told to (LD_PRELOAD)
 *
 * A file that TENSORD_FAULTS names is mapped: struct faults, which the row writes and reads while
 * the daemon runs. The armed kind of call fails at its nth call, or from its nth call on. Every
 * call of an armed kind leaves the address that it returns to, so that the row knows which places
 * it made fail. Calls from within libc are not seen, but for malloc's; what its qsort() takes fails
 * too, but is no place: it takes memory for many elements only, and sorts without it as well.
 *
 * Any thread; no lock, no allocation.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* As in faults.py. */
enum kind {
        NONE,
        MALLOC,
        MMAP,
        OPEN,
        FALLOCATE,
        FTRUNCATE,
        ACCEPT,
        RECVMSG,
        SENDMSG,
        UNLINK,
        EPOLL,
        THREAD,
        RENAME,
        PWRITE,
        WRITE,
        READ,
        SYNC,
};

#define N_SITES 1024

struct site {
        _Atomic uint64_t address;
        _Atomic uint32_t kind;
        _Atomic uint32_t n_failed;
};

struct faults {
        _Atomic uint32_t kind;
        uint32_t is_lasting;
        uint32_t code;   /* errno */
        uint16_t n_lost; /* sites that found no place */
        uint16_t is_own; /* only calls from the program itself, not from its libraries */
        uint64_t nth;
        uint64_t place; /* only calls that return there are counted, and fail; 0: all */
        _Atomic uint64_t count;
        struct site sites[N_SITES];
};

static struct faults *faults;
static uint64_t program_begin, program_end;
static _Thread_local bool is_sorting;

/* The first that is told of is the program. */
static int find_program(struct dl_phdr_info *info, size_t n_bytes, void *ctx)
{
        (void)n_bytes;
        (void)ctx;
        program_begin = info->dlpi_addr;
        for (unsigned i = 0; i < info->dlpi_phnum; i++)
                if (info->dlpi_phdr[i].p_type == PT_LOAD)
                        program_end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr +
                                      info->dlpi_phdr[i].p_memsz;
        return 1;
}

__attribute__((constructor)) static void begin(void)
{
        const char *path = getenv("TENSORD_FAULTS");
        int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
        void *map;

        if (fd < 0)
                return;
        dl_iterate_phdr(find_program, NULL);
        map = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        if (map != MAP_FAILED)
                faults = map;
}

static struct site *site_of(enum kind kind, uint64_t address)
{
        for (unsigned i = 0; i < N_SITES; i++) {
                struct site *site = &faults->sites[(address / 4 + i) % N_SITES];
                uint64_t none = 0;

                if (atomic_compare_exchange_strong(&site->address, &none, address))
                        atomic_store(&site->kind, kind);
                if (atomic_load(&site->address) == address)
                        return site;
        }
        faults->n_lost++;
        return NULL;
}

static bool fails(enum kind kind, const void *address)
{
        struct site *site = NULL;
        uint64_t n;

        if (!faults || atomic_load(&faults->kind) != kind)
                return false;
        if (faults->is_own && ((uint64_t)(uintptr_t)address < program_begin ||
                               (uint64_t)(uintptr_t)address >= program_end))
                return false;
        if (!is_sorting)
                site = site_of(kind, (uint64_t)(uintptr_t)address);
        if (faults->place && faults->place != (uint64_t)(uintptr_t)address)
                return false;
        n = atomic_fetch_add(&faults->count, 1) + 1;
        if (n != faults->nth && !(faults->is_lasting && faults->nth && n > faults->nth))
                return false;
        if (site)
                atomic_fetch_add(&site->n_failed, 1);
        errno = (int)faults->code;
        return true;
}

#define FAILS(kind) fails(kind, __builtin_return_address(0))
#define VISIBLE __attribute__((visibility("default")))

/* The call that this one stands before. */
#define NEXT(name)                                                                                 \
        ({                                                                                         \
                static __typeof__(&name) _next;                                                    \
                if (!_next)                                                                        \
                        _next = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                        \
                _next;                                                                             \
        })

/* ---- memory: through libc's own names, since dlsym() allocates ---- */

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

VISIBLE void *malloc(size_t n)
{
        return FAILS(MALLOC) ? NULL : __libc_malloc(n);
}

VISIBLE void *calloc(size_t n, size_t size)
{
        return FAILS(MALLOC) ? NULL : __libc_calloc(n, size);
}

VISIBLE void *realloc(void *p, size_t n)
{
        return FAILS(MALLOC) ? NULL : __libc_realloc(p, n);
}

VISIBLE void *reallocarray(void *p, size_t n, size_t size)
{
        size_t n_bytes;

        if (FAILS(MALLOC))
                return NULL;
        if (__builtin_mul_overflow(n, size, &n_bytes)) {
                errno = ENOMEM;
                return NULL;
        }
        return __libc_realloc(p, n_bytes);
}

VISIBLE int posix_memalign(void **pp, size_t alignment, size_t n)
{
        void *p = FAILS(MALLOC) ? NULL : __libc_memalign(alignment, n);

        if (!p)
                return ENOMEM;
        *pp = p;
        return 0;
}

VISIBLE void *aligned_alloc(size_t alignment, size_t n)
{
        return FAILS(MALLOC) ? NULL : __libc_memalign(alignment, n);
}

VISIBLE void qsort(void *rows, size_t n, size_t size, int (*compare)(const void *, const void *))
{
        __typeof__(&qsort) next = NEXT(qsort);

        is_sorting = true;
        next(rows, n, size, compare);
        is_sorting = false;
}

VISIBLE void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
        return FAILS(MMAP) ? MAP_FAILED : NEXT(mmap)(at, n, protection, flags, fd, offset);
}

/* ---- files ---- */

VISIBLE int open(const char *path, int flags, ...)
{
        va_list args;
        mode_t mode;

        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
        return FAILS(OPEN) ? -1 : NEXT(open)(path, flags, mode);
}

VISIBLE int openat(int at, const char *path, int flags, ...)
{
        va_list args;
        mode_t mode;

        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
        return FAILS(OPEN) ? -1 : NEXT(openat)(at, path, flags, mode);
}

VISIBLE int posix_fallocate(int fd, off_t offset, off_t n)
{
        return FAILS(FALLOCATE) ? (int)faults->code : NEXT(posix_fallocate)(fd, offset, n);
}

VISIBLE int fallocate(int fd, int mode, off_t offset, off_t n)
{
        return FAILS(FALLOCATE) ? -1 : NEXT(fallocate)(fd, mode, offset, n);
}

VISIBLE int ftruncate(int fd, off_t n)
{
        return FAILS(FTRUNCATE) ? -1 : NEXT(ftruncate)(fd, n);
}

VISIBLE int unlink(const char *path)
{
        return FAILS(UNLINK) ? -1 : NEXT(unlink)(path);
}

VISIBLE int unlinkat(int at, const char *path, int flags)
{
        return FAILS(UNLINK) ? -1 : NEXT(unlinkat)(at, path, flags);
}

VISIBLE int renameat(int from_at, const char *from, int to_at, const char *to)
{
        return FAILS(RENAME) ? -1 : NEXT(renameat)(from_at, from, to_at, to);
}

VISIBLE ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
        return FAILS(PWRITE) ? -1 : NEXT(pwrite)(fd, bytes, n, offset);
}

/* Of a disk, not an event, nor the log. */
static bool is_file(int fd)
{
        struct stat st;

        return fd != STDERR_FILENO && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

VISIBLE ssize_t write(int fd, const void *bytes, size_t n)
{
        return is_file(fd) && FAILS(WRITE) ? -1 : NEXT(write)(fd, bytes, n);
}

VISIBLE ssize_t read(int fd, void *bytes, size_t n)
{
        return is_file(fd) && FAILS(READ) ? -1 : NEXT(read)(fd, bytes, n);
}

VISIBLE int fsync(int fd)
{
        return FAILS(SYNC) ? -1 : NEXT(fsync)(fd);
}

VISIBLE int sync_file_range(int fd, off64_t at, off64_t n, unsigned how)
{
        return FAILS(SYNC) ? -1 : NEXT(sync_file_range)(fd, at, n, how);
}

/* ---- sockets and events ---- */

VISIBLE int accept4(int fd, struct sockaddr *address, socklen_t *np, int flags)
{
        return FAILS(ACCEPT) ? -1 : NEXT(accept4)(fd, address, np, flags);
}

VISIBLE ssize_t recv(int fd, void *bytes, size_t n, int flags)
{
        return FAILS(RECVMSG) ? -1 : NEXT(recv)(fd, bytes, n, flags);
}

VISIBLE ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
        return FAILS(RECVMSG) ? -1 : NEXT(recvmsg)(fd, message, flags);
}

VISIBLE ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
        return FAILS(SENDMSG) ? -1 : NEXT(send)(fd, bytes, n, flags);
}

VISIBLE ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
        return FAILS(SENDMSG) ? -1 : NEXT(sendmsg)(fd, message, flags);
}

VISIBLE int epoll_create1(int flags)
{
        return FAILS(EPOLL) ? -1 : NEXT(epoll_create1)(flags);
}

/*
 * What is watched already can be watched otherwise, or no more, without memory: the kernel then
 * says EEXIST whatever it has left.
 */
VISIBLE int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
        int r = NEXT(epoll_ctl)(epoll, op, fd, event);

        if (r || op != EPOLL_CTL_ADD || !FAILS(EPOLL))
                return r;
        NEXT(epoll_ctl)(epoll, EPOLL_CTL_DEL, fd, event);
        errno = (int)faults->code;
        return -1;
}

VISIBLE int pthread_create(pthread_t *threadp, const pthread_attr_t *attributes,
                           void *(*begin_)(void *), void *arg)
{
        return FAILS(THREAD) ? (int)faults->code
                             : NEXT(pthread_create)(threadp, attributes, begin_, arg);
}
