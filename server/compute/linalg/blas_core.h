/* SPDX-License-Identifier: MIT */
/*
 * The core of OpenBLAS
 *
 * OpenBLAS picks the kernels of one processor core when it is loaded. On processors newer than
 * itself it may fall back to kernels of a quarter of the speed, without a word. blas_core_setup()
 * finds that out and starts the program once more with a better core forced; a candidate must first
 * pass blas_core_self_test() in a process of its own, since a wrong one may compute wrongly or die
 * of an illegal instruction.
 *
 * How long the library's threads spin when they have nothing to do is read when it is loaded, too.
 * So the program starts anew unless the user said how long, OPENBLAS_THREAD_TIMEOUT.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* main() answers this, as the only argument, by exit status blas_core_self_test(), before anything
 * else. */
#define BLAS_CORE_SELF_TEST "--self-test-core"

/*
 * First thing in main(), before threads, sockets and locks. Returns unless the program is started
 * anew (same argv, a better core forced if there is one). The choice is remembered in the file
 * cache_path, which may be NULL or not writable. What the user set in OPENBLAS_CORETYPE and
 * OPENBLAS_THREAD_TIMEOUT stands.
 */
void blas_core_setup(char **argv, const char *cache_path);

/* 0: products and factorisations agree with plain ones, and the core is the one that
 * OPENBLAS_CORETYPE names. */
int blas_core_self_test(void);

/* The core that runs, as OpenBLAS calls it; whether the processor could do better. */
const char *blas_core_name(void);
bool blas_core_is_fallback(void);

/* ---- parts of the above, apart for tests ---- */

/* What instructions a core's kernels use, or a processor offers. */
enum blas_level { BLAS_LEVEL_SSE, BLAS_LEVEL_AVX, BLAS_LEVEL_AVX2, BLAS_LEVEL_AVX512 };

#define BLAS_CORE_NAME_MAX 32

enum blas_level blas_core_level(const char *name);
enum blas_level blas_core_cpu_level(void);

/* A core of the level is less than a processor of cpu_level deserves. AVX2 kernels where AVX-512 is
 * offered are a choice. */
bool blas_core_fell_back(enum blas_level level, enum blas_level cpu_level);

/* The i-th core to try on such a processor, best first, or NULL. */
const char *blas_core_candidate(enum blas_level cpu_level, unsigned i);

/*
 * The first candidate that passes its self-test, which is program run with BLAS_CORE_SELF_TEST and
 * OPENBLAS_CORETYPE; or the one that the cache remembers for the key. false: none.
 */
bool blas_core_choose(char core[BLAS_CORE_NAME_MAX], enum blas_level cpu_level, const char *program,
                      const char *cache_path, const char *key);
