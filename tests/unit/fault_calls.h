/* SPDX-License-Identifier: MIT */
/*
 * System calls that fail at the n-th time
 *
 * As those of fault_kit.h, and counted with them: they fail with faults_error.
 */
#pragma once

#include "fault_kit.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((unused)) static int faults_error = EIO;
/* Given what was read, before who reads it looks; NULL: nobody. */
__attribute__((unused)) static void (*faults_read)(uint8_t *bytes, size_t n);

#if FAULTS_WORK

/* The function that the one of this file stands before. */
#define FAULTS_NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

FAULTS_DEFINE int openat(int at, const char *path, int flags, ...)
{
        mode_t mode = 0;
        va_list args;

        if (faults_due("openat", faults_error))
                return -1;
        if (flags & O_CREAT) {
                va_start(args, flags);
                mode = va_arg(args, mode_t);
                va_end(args);
        }
        return FAULTS_NEXT(openat)(at, path, flags, mode);
}

FAULTS_DEFINE int fstat(int fd, struct stat *st)
{
        return faults_due("fstat", faults_error) ? -1 : FAULTS_NEXT(fstat)(fd, st);
}

FAULTS_DEFINE int fstatat(int at, const char *path, struct stat *st, int flags)
{
        return faults_due("fstatat", faults_error) ? -1 : FAULTS_NEXT(fstatat)(at, path, st, flags);
}

FAULTS_DEFINE DIR *fdopendir(int fd)
{
        return faults_due("fdopendir", faults_error) ? NULL : FAULTS_NEXT(fdopendir)(fd);
}

FAULTS_DEFINE struct dirent *readdir(DIR *dir)
{
        return faults_due("readdir", faults_error) ? NULL : FAULTS_NEXT(readdir)(dir);
}

FAULTS_DEFINE void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
        return faults_due("mmap", ENOMEM) ? MAP_FAILED
                                  : FAULTS_NEXT(mmap)(at, n, protection, flags, fd, offset);
}

FAULTS_DEFINE int posix_fallocate(int fd, off_t offset, off_t n)
{
        return faults_due("posix_fallocate", faults_error) ? faults_error
                                        : FAULTS_NEXT(posix_fallocate)(fd, offset, n);
}

FAULTS_DEFINE int unlinkat(int at, const char *path, int flags)
{
        return faults_due("unlinkat", faults_error) ? -1 : FAULTS_NEXT(unlinkat)(at, path, flags);
}

FAULTS_DEFINE int renameat(int from_at, const char *from, int to_at, const char *to)
{
        return faults_due("renameat", faults_error)
                       ? -1
                       : FAULTS_NEXT(renameat)(from_at, from, to_at, to);
}

FAULTS_DEFINE ssize_t read(int fd, void *bytes, size_t n)
{
        ssize_t r = faults_due("read", faults_error) ? -1 : FAULTS_NEXT(read)(fd, bytes, n);

        if (r > 0 && faults_read)
                faults_read(bytes, (size_t)r);
        return r;
}

FAULTS_DEFINE ssize_t write(int fd, const void *bytes, size_t n)
{
        return faults_due("write", faults_error) ? -1 : FAULTS_NEXT(write)(fd, bytes, n);
}

FAULTS_DEFINE int fsync(int fd)
{
        return faults_due("fsync", faults_error) ? -1 : FAULTS_NEXT(fsync)(fd);
}

FAULTS_DEFINE int sync_file_range(int fd, off64_t at, off64_t n, unsigned how)
{
        return faults_due("sync_file_range", faults_error)
                       ? -1
                       : FAULTS_NEXT(sync_file_range)(fd, at, n, how);
}

FAULTS_DEFINE int fallocate(int fd, int mode, off_t offset, off_t n)
{
        return faults_due("fallocate", faults_error)
                       ? -1
                       : FAULTS_NEXT(fallocate)(fd, mode, offset, n);
}

#endif
