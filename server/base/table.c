/* SPDX-License-Identifier: MIT */
#include "base/table.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

#include "base/log.h"

static struct {
        uint64_t seed;
        uint64_t factor_low, factor_high;
} secret;

__attribute__((constructor)) static void secret_draw(void)
{
        /* so few bytes are not interrupted */
        if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret)) {
                log_error("cannot start: the system gives no random numbers");
                abort();
        }
}

/*
 * XXH3 makes one word of the key, and of a word no other key makes the same: it is a permutation
 * there. A random 128-bit factor times that word, of which bits 64 to 95 are taken, is pairwise
 * independent (Dietzfelbinger, STACS 1996): two keys chosen in advance fall into one of n buckets
 * with probability 1/n, whoever chose them.
 */
unsigned table_hash(const void *key, size_t n_key)
{
        uint64_t word = XXH3_64bits_withSeed(key, n_key, secret.seed);

        return (unsigned)(secret.factor_high * word +
                          (uint64_t)((unsigned __int128)secret.factor_low * word >> 64));
}
