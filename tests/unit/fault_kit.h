/* SPDX-License-Identifier: MIT */
/*
 * Memory that fails at the n-th time
 *
 * Functions of the C library, defined again: a test that includes this has its calls, and those of
 * the libraries that it links, come here. faults_after(n) lets n calls pass and fails the next one,
 * once, or (faults_lasting) all from there on; faults_end() tells whether it came to that.
 * faults_live says how much is allocated. Under a sanitizer, which has the same functions for
 * itself, nothing fails and FAULTS_WORK is 0. One thread only.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FAULTS_WORK 0
#else
#define FAULTS_WORK 1
#endif

static long faults_left = -1;
static bool faults_lasting;
/* Calls of this name alone (fault_calls.h); "": all of those; NULL: memory, too. */
static const char *faults_only;
__attribute__((unused)) static long faults_live; /* pieces of memory that were not freed yet */

static inline void faults_after(long n)
{
        faults_left = n;
}

/* Did one fail? */
static inline bool faults_end(void)
{
        bool has_failed = faults_left == -2;

        faults_left = -1;
        return has_failed;
}

#if FAULTS_WORK

#define FAULTS_DEFINE __attribute__((visibility("default"), unused))

/* From -1 on, nothing is armed; a fault leaves -2. */
static inline bool faults_due(const char *name, int error)
{
        if (faults_only && (!name || (*faults_only && strcmp(faults_only, name))))
                return false;
        if (faults_left == -1 || (faults_left == -2 && !faults_lasting))
                return false;
        if (faults_left > 0) {
                faults_left--;
                return false;
        }
        faults_left = -2;
        errno = error;
        return true;
}

void *__libc_malloc(size_t n_bytes);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t n_bytes);
void __libc_free(void *memory);

static inline void *faults_counted(void *memory)
{
        faults_live += memory != NULL;
        return memory;
}

FAULTS_DEFINE void *malloc(size_t n_bytes)
{
        return faults_due(NULL, ENOMEM) ? NULL : faults_counted(__libc_malloc(n_bytes));
}

FAULTS_DEFINE void *calloc(size_t n, size_t size)
{
        return faults_due(NULL, ENOMEM) ? NULL : faults_counted(__libc_calloc(n, size));
}

FAULTS_DEFINE void *realloc(void *memory, size_t n_bytes)
{
        if (faults_due(NULL, ENOMEM))
                return NULL;
        return memory ? __libc_realloc(memory, n_bytes) : faults_counted(__libc_malloc(n_bytes));
}

FAULTS_DEFINE void free(void *memory)
{
        faults_live -= memory != NULL;
        __libc_free(memory);
}

#endif
