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
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((unused)) static int faults_error = EIO;

#if FAULTS_WORK

/* The function that the one of this file stands before. */
#define FAULTS_NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

FAULTS_DEFINE int openat(int at, const char *path, int flags, ...)
{
        mode_t mode = 0;
        va_list args;

        if (faults_due(faults_error))
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
        return faults_due(faults_error) ? -1 : FAULTS_NEXT(fstat)(fd, st);
}

FAULTS_DEFINE int fstatat(int at, const char *path, struct stat *st, int flags)
{
        return faults_due(faults_error) ? -1 : FAULTS_NEXT(fstatat)(at, path, st, flags);
}

FAULTS_DEFINE DIR *fdopendir(int fd)
{
        return faults_due(faults_error) ? NULL : FAULTS_NEXT(fdopendir)(fd);
}

FAULTS_DEFINE struct dirent *readdir(DIR *dir)
{
        return faults_due(faults_error) ? NULL : FAULTS_NEXT(readdir)(dir);
}

FAULTS_DEFINE void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
        return faults_due(ENOMEM) ? MAP_FAILED
                                  : FAULTS_NEXT(mmap)(at, n, protection, flags, fd, offset);
}

FAULTS_DEFINE int posix_fallocate(int fd, off_t offset, off_t n)
{
        return faults_due(faults_error) ? faults_error
                                        : FAULTS_NEXT(posix_fallocate)(fd, offset, n);
}

FAULTS_DEFINE int unlinkat(int at, const char *path, int flags)
{
        return faults_due(faults_error) ? -1 : FAULTS_NEXT(unlinkat)(at, path, flags);
}

FAULTS_DEFINE int renameat(int from_at, const char *from, int to_at, const char *to)
{
        return faults_due(faults_error) ? -1 : FAULTS_NEXT(renameat)(from_at, from, to_at, to);
}

#endif
